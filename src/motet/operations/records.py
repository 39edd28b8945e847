"""The decision log and the usage ledger: observers' words as rows of the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from motet.config import Store
from motet.operations.base import Observer, Outcome
from motet.operations.redaction import Redaction
from motet.store import decisions, usage
from motet.store.decisions import DECIDED, DecisionRow
from motet.store.usage import UsageRow
from motet.store.writer import Writer
from motet.types import Call, Decision, Request

_OPEN = 65_536
"""Requests under way whose decisions are remembered; each takes some hundred bytes."""
_ROW_BYTES = 400
"""About what a row takes beside its texts."""
_LONGEST = 2000
"""Characters that are kept of a reason."""
_TEXTS = ("experts", "reason", "calls", "prompt", "answer")
_DAY_S = 86_400
_MOST = 2**40
"""Tokens that one call may count: what a host says is no reason to break a sum."""


@dataclass(slots=True)
class _Open:
    decision: Decision | None = None


class DecisionLog(Observer):
    """Keeps one row a request, and counts usage by day.

    A decision that nobody waits to be answered by is a row at once, which the answer completes if
    there is one after all, as in a batch.

    Parameters
    ----------
    artifact
        Returns what the router of that name has learned from, as a digest; None where nothing.
    """

    def __init__(
        self, writer: Writer, settings: Store, artifact: Callable[[str], str | None]
    ) -> None:
        self._writer = writer
        self._has_text = settings.text
        self._redaction = Redaction(settings)
        self._artifact = artifact
        self._open: dict[str, _Open] = {}

    def began(self, request: Request, composition: str) -> None:
        """Wait for the decision and the end."""
        if len(self._open) >= _OPEN:
            del self._open[next(iter(self._open))]  # its end was dropped on the way here
        self._open[request.id] = _Open()

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Remember the decision until the end; keep it where none is awaited."""
        under_way = self._open.get(request.id)
        if under_way is not None:
            under_way.decision = decision
            return
        about = self._about(request, composition, decision)
        self._keep(about | {"time": time.time(), "outcome": DECIDED})

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Count a call of a request that has no end of its own; those of others have theirs."""
        if request.id not in self._open:
            self._count(request, composition, call.expert, calls=1, **_taken((call,)))

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Keep the row of the request, and count it."""
        under_way = self._open.pop(request.id, None)
        is_error = outcome.status not in ("ok", "cancelled")
        total = outcome.usage
        about = self._about(request, composition, under_way.decision if under_way else None)
        about |= {
            "time": outcome.began,
            "outcome": "error" if is_error else outcome.status,
            "error": _clean(outcome.status) if is_error else None,
            "author": outcome.author,
            "seconds": outcome.seconds,
            "first_chunk_s": outcome.first_chunk_s,
            "prompt_tokens": _count(total.prompt_tokens),
            "completion_tokens": _count(total.completion_tokens),
            "cost_usd": _finite(outcome.cost_usd),
            "calls": _json([self._call(call) for call in outcome.calls]),
            "prompt": self._prompt(request),
            "answer": self._answer(outcome),
        }
        self._keep(about)
        author, calls = outcome.author or "", outcome.calls
        asked = dict.fromkeys((author, *(call.expert for call in calls)))
        for expert in asked:
            own = [call for call in calls if call.expert == expert]
            ended = {"requests": 1, "failed": int(is_error)} if expert == author else {}
            self._count(request, composition, expert, calls=len(own), **_taken(own), **ended)

    def _about(
        self, request: Request, composition: str, decision: Decision | None
    ) -> dict[str, Any]:
        """Return what a row says of who asked, and of who was chosen."""
        about = {
            "id": request.id,
            "key": _clean(request.caller.key),
            "tenant": _clean(request.caller.tenant),
            "composition": composition,
        }
        if decision is None:
            return about
        return about | {
            "decision": decision.id,
            "router": _clean(decision.router),
            "experts": _json(decision.experts),
            "reason": _clean(decision.reason[:_LONGEST]),
            "confidence": decision.confidence,
            "artifact": self._artifact(decision.router),
        }

    def _call(self, call: Call) -> dict[str, Any]:
        said = {
            "expert": call.expert,
            "purpose": str(call.purpose),
            "started": round(call.started, 6),
            "first_chunk": call.first_chunk and round(call.first_chunk, 6),
            "finished": call.finished and round(call.finished, 6),
            "prompt_tokens": _count(call.usage.prompt_tokens),
            "completion_tokens": _count(call.usage.completion_tokens),
            "cost_usd": _finite(call.cost_usd),
            "failed": call.error is not None,
        }
        if self._has_text and call.error is not None:  # a host may quote the prompt in it
            said["error"] = self._redaction.of(call.error)
        return said

    def _prompt(self, request: Request) -> str | None:
        if not self._has_text:
            return None
        asked: Any = request.prompt if request.messages == () else request.messages
        if request.texts is not None:
            texts = request.texts
            asked = {"task": str(texts.task), "inputs": texts.inputs, "role": texts.role}
        said = self._redaction.of(asked)
        return None if said is None else _json(said)

    def _answer(self, outcome: Outcome) -> str | None:
        said = self._redaction.of(outcome.text) if self._has_text and outcome.text else None
        return None if said is None else _clean(said)

    def _keep(self, about: dict[str, Any]) -> None:
        texts = (about.get(name) for name in _TEXTS)
        size = _ROW_BYTES + sum(map(_bytes, filter(None, texts)))
        self._writer.put(decisions.keep, DecisionRow(**about, size=size), size)

    def _count(self, request: Request, composition: str, expert: str, **counts: Any) -> None:
        row = UsageRow(
            day=_day(int(time.time() // _DAY_S)),
            key=_clean(request.caller.key),
            tenant=_clean(request.caller.tenant),
            composition=composition,
            expert=expert,
            **counts,
        )
        self._writer.put(usage.keep, row, _ROW_BYTES)


@lru_cache(maxsize=2)
def _day(number: int) -> str:
    """Return the day with that number, counted from 1970, as it is written in the ledger."""
    return datetime.fromtimestamp(number * _DAY_S, UTC).date().isoformat()


def _clean(text: str) -> str:
    """Return a text less what no database takes: NUL, and halves of characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    """Return JSON without what no database takes."""
    try:
        written = orjson.dumps(value, default=str)
    except TypeError:  # halves of characters, or numbers that JSON has no room for
        written = b"\\u0000"
    if b"\\u0000" in written:
        written = orjson.dumps(_cleaned(value), default=str)
    return written.decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {_clean(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(value)
    return value


def _taken(calls: Iterable[Call]) -> dict[str, Any]:
    """Return the tokens and the cost of calls, as the ledger has them."""
    prompt = completion = 0
    cost_usd = 0.0
    for call in calls:
        prompt += _count(call.usage.prompt_tokens)
        completion += _count(call.usage.completion_tokens)
        cost_usd += _finite(call.cost_usd)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "cost_usd": cost_usd}


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _count(number: int) -> int:
    return min(max(number, 0), _MOST)


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0
