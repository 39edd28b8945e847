"""Proving parts before anybody is asked on them: experts come up and answer, routers can decide."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from motet.errors import ApplyFailed, MotetError
from motet.service.running import Running
from motet.types import Caller, Capability, Request, Task, Texts
from motet.whole import collect

_PROMPT = "Answer with the one word: yes."
_TOKENS = 16
_PROVER = Caller(key="motet-apply", tenant="motet")


async def prove(
    running: Running, experts: Collection[str], patience_s: float, *, only_wait: bool = False
) -> None:
    """Wait until routers can decide, and each of `experts` has answered a first prompt.

    An expert that the config calls optional may fail.

    Parameters
    ----------
    patience_s
        Seconds in all.
    only_wait
        Whether experts are waited for, and not tried.

    Raises
    ------
    ApplyFailed
        Somebody failed, or was not there in time; says who, and why.
    """
    try:
        async with asyncio.timeout(patience_s), asyncio.TaskGroup() as tasks:
            tasks.create_task(_routers(running))
            for name in experts:
                tasks.create_task(
                    running.fleet.settled(name) if only_wait else _expert(running, name)
                )
    except* ApplyFailed as failures:
        raise ApplyFailed(" ".join(str(each) for each in failures.exceptions)) from None
    except* TimeoutError:
        raise ApplyFailed(
            f"It was not ready in {patience_s:g} s: {_waited_for(running, experts)}.",
            hint="Give it more time with --wait.",
        ) from None


async def _routers(running: Running) -> None:
    try:
        await running.started()
    except MotetError as error:
        raise ApplyFailed(f"A router cannot decide: {error}") from error


async def _expert(running: Running, name: str) -> None:
    await running.fleet.settled(name)
    member = running.fleet.view[name]
    try:
        if not member.health.ready:
            raise ApplyFailed(f"Expert {name!r} did not come up: {member.health.reason}.")
        async with running.pipeline.answer(_question(running, name)) as answer:
            await collect(answer)
    except MotetError as error:
        if member.card.optional:
            return
        if isinstance(error, ApplyFailed):
            raise
        raise ApplyFailed(f"Expert {name!r} did not answer its first prompt: {error}") from error


def _question(running: Running, name: str) -> Request:
    task = running.pipeline.compositions[name].task
    if task is not Task.ANSWER:
        texts = Texts(task=task, inputs=(_PROMPT,))
        return Request(model=name, texts=texts, caller=_PROVER)
    if Capability.CHAT in running.fleet.view[name].card.capabilities:
        messages = ({"role": "user", "content": _PROMPT},)
        return Request(model=name, messages=messages, max_tokens=_TOKENS, caller=_PROVER)
    return Request(model=name, prompt=_PROMPT, max_tokens=_TOKENS, caller=_PROVER)


def _waited_for(running: Running, experts: Collection[str]) -> str:
    states = {name: running.fleet.view[name].health for name in experts}
    slow = [f"{name} is {health.state}" for name, health in states.items() if not health.ready]
    return ", ".join(slow) or "routers, or an answer"
