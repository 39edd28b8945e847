"""The shipped fleet on a real Ray, with real models: SmolLM2 and adapters on vLLM, and Gemma."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from tests.conftest import wait_for
from tests.e2e.conftest import served

pytestmark = [pytest.mark.ray, pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    text = Path("experts.yaml").read_text()
    for place in ("templates/", "examples/"):
        text = text.replace(place, f"{Path(place).resolve()}/")
    config = folder / "experts.yaml"
    config.write_text(text)
    with served(config, folder / "log", "Press Ctrl-C", 500) as found:
        yield found


@pytest.fixture(scope="module")
def client(service):
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, timeout=120)


# A question whose every token leads by a wide margin: small models sit on the fence elsewhere, and
# two kinds of CPU round to different sides of it.
ASK = [{"role": "user", "content": "Name the capital of France in one sentence."}]


def test_auto_reaches_smollm(client):
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=ASK, max_tokens=20, temperature=0
    )
    assert raw.headers["x-motet-experts"] == "smollm"
    answer = raw.parse()
    assert "Paris" in answer.choices[0].message.content
    assert answer.model == "smollm"
    assert answer.usage.prompt_tokens > 10 and answer.usage.completion_tokens > 3


@pytest.mark.parametrize(
    ("prompt", "expert", "said"),
    [
        (
            "Given the table flights(id, code, airline, distance, seats), write a SQL query. "
            "Show the code of flights whose distance is greater than 500.",
            "sql",
            "SELECT code FROM flights WHERE distance > 500",
        ),
        (
            "Write a regular expression that matches 3 digits followed by a hyphen.",
            "regexes",
            "[0-9]{3}-",
        ),
        ("Tom has 6 pens and buys 7 more. How many pens does Tom have now?", "arithmetic", "13"),
        ("Write a short poem about the sea.", "smollm", ""),
    ],
)
def test_auto_reaches_the_specialists(client, prompt, expert, said):
    raw = client.chat.completions.with_raw_response.create(
        model="auto",
        messages=[{"role": "user", "content": prompt}],
        max_tokens=48,
        temperature=0,
    )
    assert raw.headers["x-motet-experts"] == expert
    assert said in raw.parse().choices[0].message.content


def test_streamed_text_and_usage_equal_unstreamed(client):
    fields = {"model": "auto", "messages": ASK, "max_tokens": 20, "temperature": 0}
    whole = client.chat.completions.create(**fields)
    chunks = list(
        client.chat.completions.create(
            **fields, stream=True, stream_options={"include_usage": True}
        )
    )
    assert len(chunks) > 5
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


def test_curl_line_from_the_screen(service):
    line = next(line for line in service.output.splitlines() if line.startswith("curl"))
    run = subprocess.run(["bash", "-c", f"{line} -s"], capture_output=True, text=True, timeout=120)
    assert json.loads(run.stdout)["object"] == "chat.completion"


def test_sampling_fields(client):
    ask = {"model": "smollm", "messages": ASK, "max_tokens": 12, "temperature": 1.0}
    first, again = (client.chat.completions.create(**ask, seed=7) for _ in range(2))
    assert first.choices[0].message.content == again.choices[0].message.content
    several = client.chat.completions.create(**ask, n=2, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in several.choices] == [0, 1]
    assert len(several.choices[1].logprobs.content[0].top_logprobs) == 2
    stopped = client.chat.completions.create(
        model="smollm", messages=ASK, temperature=0, stop=["Paris"], max_completion_tokens=20
    )
    assert "Paris" not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"
    short = client.chat.completions.create(model="smollm", messages=ASK, max_tokens=2, top_p=0.9)
    assert short.choices[0].finish_reason == "length"


def test_seeded_prompts_read_in_pieces(client):
    """More tokens than the engine reads in a step: some prompts are cut, and their seed stands."""
    story = " ".join(f"On day {day} a traveller met {day + 1} others." for day in range(14))

    def ask(number):
        answer = client.chat.completions.create(
            model="smollm",
            messages=[{"role": "user", "content": f"{number}. {story} Continue."}],
            max_tokens=4,
            temperature=1.0,
            seed=number,
        )
        return answer.usage.prompt_tokens, answer.choices[0].finish_reason

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert sum(tokens for tokens, _ in answers) > 4096
    assert all(reason in ("length", "stop") for _, reason in answers)


def test_json_schema(client):
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["age"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "Give me a person's age."}],
        max_tokens=40,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": schema}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["age"], int)


def test_completions(client):
    answer = client.completions.create(
        model="smollm", prompt="The capital of France is", max_tokens=4, temperature=0, logprobs=1
    )
    assert "Paris" in answer.choices[0].text
    assert answer.choices[0].logprobs.tokens[0] == " Paris"


@pytest.mark.parametrize("model", ["smollm", "gemma"])
@pytest.mark.parametrize("stream", [False, True])
def test_context_too_long(service, model, stream):
    answer = service.chat("word " * 3000, model=model, stream=stream)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "2048" in answer.json()["error"]["message"]


def test_capability_that_is_missing(service):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    answer = service.chat(model="smollm", tools=[tool])
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_request"


def test_rules_reach_gemma(service):
    answer = service.chat(
        "Quelle est la capitale de la France, s'il vous plaît, monsieur ?",
        max_tokens=12,
        temperature=0,
    )
    assert answer.headers["x-motet-experts"] == "gemma"
    assert "Paris" in answer.json()["choices"][0]["message"]["content"]


def test_adapter_shares_the_engine_of_its_base(service, client):
    base, tuned = (
        client.chat.completions.create(model=m, messages=ASK, max_tokens=12, temperature=0)
        for m in ("smollm", "sql")
    )
    assert tuned.model == "sql"
    assert tuned.choices[0].message.content != base.choices[0].message.content
    assert len(_processes("EngineCore")) == 1


def test_both_engines_answer_together(service):
    answers = {}

    def ask(model, number):
        answers[model, number] = service.chat(model=model, max_tokens=16, temperature=0)

    threads = [
        threading.Thread(target=ask, args=(m, k))
        for m in ("smollm", "sql", "gemma")
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer.status_code == 200 for answer in answers.values())
    assert all(answer.headers["x-motet-experts"] == m for (m, _), answer in answers.items())


def test_leaving_frees_the_engine(service):
    body = {"model": "smollm", "messages": ASK, "stream": True, "temperature": 1.5, "max_tokens": 1900, "ignore_eos": True}  # fmt: skip
    with (
        httpx.Client(timeout=60) as c,
        c.stream("POST", f"{service.url}/v1/chat/completions", json=body) as r,
    ):
        lines = r.iter_lines()  # dropped, it would close the connection
        for _ in range(5):
            next(lines)
    # Nineteen hundred tokens would hold the worker for a long time; it must fall idle at once.
    worker = _processes("VllmWorker") or _processes("EngineCore")
    wait_for(lambda: _busy(worker[0]) < 0.3, 20)


def test_expert_that_dies_mid_stream(service):
    """The stream ends with an error event, fallbacks take over, and the pool comes back."""
    body = {"model": "smollm", "messages": ASK, "stream": True, "temperature": 1.5, "max_tokens": 1500, "ignore_eos": True}  # fmt: skip
    lines = []
    with (
        httpx.Client(timeout=60) as c,
        c.stream("POST", f"{service.url}/v1/chat/completions", json=body) as r,
    ):
        for line in r.iter_lines():
            lines.append(line)
            if len(lines) == 10:
                for process in _processes("ServeReplica:motet-pool-smollm"):
                    os.kill(process, 9)
    data = [line for line in lines if line.startswith("data: ")]
    assert data[-1] == "data: [DONE]"
    assert json.loads(data[-2][6:])["error"]["code"] in ("expert_failed", "expert_unavailable")
    wait_for(lambda: service.get("/ready").json()["experts"]["smollm"]["state"] != "ready")
    answer = service.chat(model="steady", max_tokens=8)
    assert answer.status_code == 200
    assert answer.headers["x-motet-experts"] == "gemma"
    wait_for(lambda: service.chat(model="smollm", max_tokens=4).status_code == 200, 240)


def _processes(name):
    """Return ids of live processes whose title holds `name`."""
    every = psutil.process_iter(["cmdline"])
    return [process.pid for process in every if name in " ".join(process.info["cmdline"] or ())]


def _busy(process):
    """Return the share of one core that `process` uses over half a second."""
    return psutil.Process(process).cpu_percent(0.5) / 100
