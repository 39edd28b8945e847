"""A new config in place of the running one: proved first, whole, and with nobody failed."""

import asyncio
import random
import time

import pytest

from motet.config import parse
from motet.errors import ApplyFailed, ConfigError, ServiceStopping
from motet.service.motet import Motet
from motet.types import Request
from motet.whole import collect

CONFIG = """
version: 1
experts:
  - {{id: main, engine: fake, tokens: ["v{v} ", "v{v} ", "v{v}"], token_delay_s: 0.002, fail_after: {fails}}}
  - {{id: spare, engine: fake, tokens: ["v{v} ", "v{v} ", "v{v}"], token_delay_s: 0.002}}
  - {{id: same, engine: fake}}
  {more}
routers:
  front:
    kind: symbolic
    rules: [{{name: v{v}, use: [main, spare]}}]
compositions: {{auto: {{router: front}}}}
service: {{health_interval_s: 0.02}}
"""


def config(v, more="", fails="null"):
    return parse(CONFIG.format(v=v, more=more, fails=fails))


async def ask(motet, model="auto"):
    """Return the version that answered, after a look that it is the same throughout."""
    messages = ({"role": "user", "content": "x"},)
    async with motet.answer(Request(model=model, messages=messages, stream=True)) as answer:
        words = (await collect(answer)).text.split()
        (version,) = set(words)
        assert f"rule '{version}'" in answer.decision.reason
        assert len(words) == 3
        return int(version[1:])


@pytest.mark.parametrize("seed", [0])
async def test_fifty_applies_under_load_fail_no_request_and_mix_no_answer(seed):
    choose, ended, answers = random.Random(seed), False, []

    async def stream(motet):
        while not ended:
            answers.append(await ask(motet))

    async with Motet(config(0)) as motet:
        await motet.fleet.ready("main")
        same = motet.parts.experts["same"]
        streams = [asyncio.create_task(stream(motet)) for _ in range(32)]
        now, broken = 0, 0
        for v in range(1, 51):
            kind = choose.choice(["change", "add", "break", "wrong"])
            more = f"- {{id: extra{v}, engine: fake}}" if kind == "add" else ""
            if kind == "break":
                with pytest.raises(ApplyFailed, match="'bad' did not answer"):
                    await motet.apply(config(v, "- {id: bad, engine: fake, fail_after: 0}"))
            elif kind == "wrong":
                with pytest.raises(ConfigError):
                    await motet.apply(config(v, "- {id: bad, engine: fake, nonsense: 1}"))
            else:
                changes = await motet.apply(config(v, more))
                now = v
                assert {"main", "spare", "front"} <= {change.name for change in changes}
            broken += kind in ("break", "wrong")
            assert await ask(motet) == now
            assert motet.parts.experts["same"] is same
        ended = True
        await asyncio.gather(*streams)
        assert 0 < broken < 50 and len(answers) > 500 and set(answers) > {0, now}
        async with asyncio.timeout(5):
            while len(motet._at_work) > 1:
                await asyncio.sleep(0.01)


async def test_what_stays_is_not_started_anew_and_what_goes_is_closed_after_its_answers():
    async with Motet(
        config(0, "- {id: slow, engine: fake, tokens: [a, b, c], token_delay_s: 0.2}")
    ) as motet:
        await motet.fleet.ready("slow")
        old = motet.parts.experts
        asking = asyncio.create_task(motet.chat("slow", "x"))
        await asyncio.sleep(0.1)
        changes = await motet.apply(config(0))
        assert [(c.what, c.name, c.how) for c in changes] == [("expert", "slow", "removed")]
        assert all(motet.parts.experts[name] is old[name] for name in ("main", "spare", "same"))
        assert (await asking).text == "abc"
        with pytest.raises(Exception, match="slow"):
            await motet.chat("slow", "x")


async def test_a_dry_run_and_a_failure_change_nothing():
    async with Motet(config(0)) as motet:
        await motet.fleet.ready("main")
        before = motet.parts
        assert {change.name for change in await motet.apply(config(1), dry=True)} >= {"main"}
        down = "- {id: gone, engine: fake, down: asleep in the yard}"
        with pytest.raises(ApplyFailed, match="'gone' did not come up: asleep in the yard"):
            await motet.apply(config(1, down))
        late = "- {id: late, engine: fake, ready_after_s: 60}"
        with pytest.raises(ApplyFailed, match=r"not ready in 0\.2 s: late is starting"):
            await motet.apply(config(1, late), patience_s=0.2)
        assert motet.parts is before and await ask(motet) == 0
        optional = "- {id: gone, engine: fake, down: asleep, optional: true}"
        await motet.apply(config(1, optional))
        assert await ask(motet) == 1


async def test_applies_take_turns_and_the_last_one_stays():
    async with Motet(config(0)) as motet:
        await motet.fleet.ready("main")
        await asyncio.gather(*(motet.apply(config(v)) for v in range(1, 6)))
        assert await ask(motet) == 5


async def test_before_it_is_open_a_config_is_put_in_place_unproved():
    motet = Motet(config(0))
    await motet.apply(config(1, "- {id: gone, engine: fake, down: later}"))
    async with motet:
        await motet.fleet.ready("main")
        assert await ask(motet) == 1


async def test_a_service_that_stops_puts_nothing_new_in_place():
    async with Motet(config(0)) as motet:
        await motet.fleet.ready("main")
        late = "- {id: late, engine: fake, ready_after_s: 60}"
        applying = asyncio.create_task(motet.apply(config(1, late)))
        await asyncio.sleep(0.1)
        before = motet.parts
    with pytest.raises(ServiceStopping):
        await applying
    assert motet.parts is before and len(motet._at_work) == 1


async def test_an_apply_that_is_still_being_read_when_the_service_stops_is_none():
    class Slow(Motet):
        def _assembled(self, document, before=None):
            time.sleep(0.3)  # beside the event loop
            return super()._assembled(document, before)

    async with Slow(config(0)) as motet:
        await motet.fleet.ready("main")
        before = motet.parts
        applying = asyncio.create_task(motet.apply(config(1)))
        await asyncio.sleep(0.1)
    with pytest.raises(ServiceStopping):
        await applying
    assert motet.parts is before
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch")]
