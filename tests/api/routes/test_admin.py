"""Changing a running service over HTTP, and who may."""

import asyncio

import httpx
import pytest
from tests.conftest import running

from motet.config import load
from motet.errors import MotetError
from motet.service.motet import Motet
from motet.service.register import Register

CONFIG = """\
version: 1
experts:
  - id: one
    engine: fake
    tokens: [one]
routers:
  only: {kind: constant, expert: one}
compositions:
  auto: {router: only}
"""
KEYS = """\
keys:
  - {name: root, key: root-key, scopes: [admin]}
  - {name: ann, key: anns-key, models: [auto]}
  - {name: eye, key: eyes-key, scopes: [metrics]}
  - {name: few, key: few-key, limits: {requests_per_minute: 2, tokens_per_minute: 1000}}
"""
MORE = "  - {id: two, engine: fake, tokens: [two]}\n"


def changed(text=CONFIG):
    """Return the config with a second expert, who answers `auto`."""
    head, tail = text.split("routers:")
    return f"{head}{MORE}routers:{tail}".replace("expert: one", "expert: two")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTET_STATE", str(tmp_path / "state"))


@pytest.fixture
def service():
    with running(CONFIG) as found:
        yield found


def post(service, path, body, key=None, **headers):
    if key:
        headers["authorization"] = f"Bearer {key}"
    return httpx.post(f"{service.url}{path}", json=body, headers=headers, timeout=30)


def said(service, **more):
    return service.chat("x", **more).json()["choices"][0]["message"]["content"]


def test_a_config_is_put_in_place_and_taken_back(service):
    assert said(service) == "one"
    dry = post(service, "/admin/config", {"config": changed(), "dry_run": True}).json()
    assert dry["snapshot"] is None and said(service) == "one"
    applied = post(service, "/admin/config", {"config": changed()}).json()
    assert applied["changes"] == dry["changes"] and said(service) == "two"
    assert {(c["what"], c["name"], c["how"]) for c in applied["changes"]} >= {
        ("expert", "two", "added"), ("router", "only", "changed"),
    }  # fmt: skip
    assert service.get("/admin/config").json()["config"] == changed()
    post(service, "/admin/config", {"config": CONFIG})
    back = post(service, "/admin/rollback", {}).json()
    assert said(service) == "two" and back["snapshot"] == 3
    listing = service.get("/admin/snapshots").json()["data"]
    assert [each["number"] for each in listing] == [3, 2, 1]
    assert post(service, "/admin/rollback", {"to": 2}).json()["hash"] == listing[1]["hash"]
    assert said(service) == "one"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"config": "version: 1\nexperts: [{id: a, engine: fakes}]"}, 400, "Did you mean 'fake'"),
        ({"config": "version: 1"}, 400, "experts"),
        ({"config": changed().replace("tokens: [two]", "fail_after: 0")}, 409, "'two' did not"),
        ({"configs": ""}, 400, "configs"),
        ({}, 400, "no file is known"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(service, body, status, told):
    answer = post(service, "/admin/config", body)
    assert answer.status_code == status and told in answer.json()["error"]["message"]
    assert said(service) == "one"
    assert post(service, "/admin/rollback", {}).status_code == 400
    assert post(service, "/admin/rollback", {"to": 7}).status_code == 404


def test_experts_one_by_one(service):
    def edit(action, expert):
        return post(service, "/admin/experts", {"action": action, "expert": expert})

    assert edit("add", "{id: two, engine: fake, tokens: [two]}").status_code == 200
    assert said(service, model="two") == "two"
    assert edit("disable", "two").status_code == 200
    ready = service.get("/ready").json()
    assert ready["experts"]["two"]["reason"] == "disabled in the config" and ready["complete"]
    assert service.chat("x", model="two").status_code == 503
    assert edit("enable", "two").status_code == 200 and said(service, model="two") == "two"
    assert edit("drain", "two").status_code == 200
    assert edit("remove", "two").status_code == 200
    assert service.chat("x", model="two").status_code == 404
    assert edit("remove", "one").status_code == 400  # a router needs it
    assert edit("paint", "one").status_code == 400
    assert said(service) == "one"


def test_each_key_may_what_its_scopes_say():
    with running(CONFIG + KEYS) as service:
        ask = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}

        def status(path, key=None, body=None):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            kind = "POST" if body is not None else "GET"
            url = f"{service.url}{path}"
            return httpx.request(kind, url, json=body, headers=headers, timeout=30).status_code

        chat, config = "/v1/chat/completions", "/admin/config"
        assert [status(chat, key, ask) for key in ("anns-key", "root-key", "eyes-key", None)] == [
            200, 403, 403, 401,
        ]  # fmt: skip
        assert [status(config, key) for key in ("root-key", "anns-key", "wrong", None)] == [
            200, 403, 401, 401,
        ]  # fmt: skip
        assert [status("/metrics", key) for key in ("eyes-key", "anns-key", None)] == [
            200,
            403,
            401,
        ]
        assert [status("/ready", key) for key in ("eyes-key", "anns-key", None)] == [200, 200, 200]
        assert status(chat, "anns-key", {**ask, "model": "one"}) == 404
        named = httpx.get(f"{service.url}/v1/models", headers={"authorization": "Bearer anns-key"})
        assert [model["id"] for model in named.json()["data"]] == ["auto"]


def test_why_an_expert_is_down_is_for_who_may_know():
    text = CONFIG.replace("routers:", "  - {id: off, engine: fake, down: of a secret}\nrouters:")
    with running(text + KEYS) as service:
        for key, reason in (("eyes-key", "of a secret"), ("anns-key", ""), (None, "")):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            report = httpx.get(f"{service.url}/ready", headers=headers).json()
            assert report["experts"]["off"] == {
                "state": "down",
                "reason": reason,
                "optional": False,
            }


def test_a_key_that_asks_too_much_is_told_when_to_come_back():
    with running(CONFIG + KEYS) as service:
        ask = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
        answers = [post(service, "/v1/chat/completions", ask, "few-key") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
        assert answers[1].headers["x-ratelimit-remaining-requests"] == "0"
        assert int(answers[2].headers["retry-after"]) > 50
        error = answers[2].json()["error"]
        assert error["code"] == "rate_limit_exceeded" and "'few'" in error["message"]
        streamed = {**ask, "stream": True, "model": "one"}
        assert post(service, "/v1/chat/completions", streamed, "anns-key").status_code == 404


def test_keys_change_while_it_runs():
    with running(CONFIG + KEYS) as service:
        fewer = CONFIG + KEYS.replace("anns-key", "anns-new-key")
        assert post(service, "/admin/config", {"config": fewer}, "root-key").status_code == 200
        ask = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
        for key, status in (("anns-key", 401), ("anns-new-key", 200)):
            assert post(service, "/v1/chat/completions", ask, key).status_code == status


def test_pages_of_strangers_change_nothing(service):
    answer = post(service, "/admin/config", {"config": CONFIG}, origin="https://evil.example")
    assert answer.status_code == 403
    plain = httpx.post(
        f"{service.url}/admin/config", content="{}", headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 415


def test_a_budget_holds_over_a_restart():
    priced = CONFIG.replace("tokens: [one]", "tokens: [one]\n    price: {output: 1000000}")
    keys = "keys: [{name: few, key: few-key, budget: {usd: 2.5, per: day}}]\n"
    ask = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
    with running(priced + keys) as service:
        statuses = []
        for _ in range(4):
            answer = post(service, "/v1/chat/completions", ask, "few-key")
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 200, 429]  # a dollar each: over by less than one
        assert answer.json()["error"]["code"] == "insufficient_quota"
        assert int(answer.headers["retry-after"]) > 0


def test_edits_at_once_are_all_kept(tmp_path):
    file = tmp_path / "experts.yaml"
    file.write_text(CONFIG)

    async def together():
        async with Motet(load(file)) as motet:
            register = Register(motet)
            entries = [f"{{id: e{number}, engine: fake}}" for number in range(5)]
            await asyncio.gather(*(register.edit("add", entry) for entry in entries))
            assert len(motet.parts.experts) == 6
            file.unlink()
            file.mkdir()  # nobody can write it
            with pytest.raises(MotetError):
                await register.edit("remove", "e1")
            assert len(motet.parts.experts) == 6

    asyncio.run(together())
