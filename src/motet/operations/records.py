"""The decision log and the usage ledger: observers' words as rows of the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
        row = self._row(request, composition, decision)
        self._keep(replace(row, time=time.time(), outcome=DECIDED))

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Count one call."""
        usage = call.usage
        self._count(
            request,
            composition,
            call.expert,
            calls=1,
            prompt_tokens=_count(usage.prompt_tokens),
            completion_tokens=_count(usage.completion_tokens),
            cost_usd=_finite(call.cost_usd),
        )

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Keep the row of the request, and count it."""
        under_way = self._open.pop(request.id, None)
        row = self._row(request, composition, under_way.decision if under_way else None)
        is_error = outcome.status not in ("ok", "cancelled")
        total = outcome.usage
        self._keep(
            replace(
                row,
                time=time.time() - outcome.seconds,
                outcome="error" if is_error else outcome.status,
                error=_clean(outcome.status) if is_error else None,
                author=outcome.author,
                seconds=outcome.seconds,
                first_chunk_s=outcome.first_chunk_s,
                prompt_tokens=_count(total.prompt_tokens),
                completion_tokens=_count(total.completion_tokens),
                cost_usd=_finite(outcome.cost_usd),
                calls=_json([self._call(call) for call in outcome.calls]),
                prompt=self._prompt(request),
            )
        )
        self._count(request, composition, outcome.author or "", requests=1, failed=int(is_error))

    def _row(self, request: Request, composition: str, decision: Decision | None) -> DecisionRow:
        caller = request.caller
        row = DecisionRow(
            id=request.id,
            time=0.0,
            key=_clean(caller.key),
            tenant=_clean(caller.tenant),
            composition=composition,
        )
        if decision is None:
            return row
        return replace(
            row,
            decision=decision.id,
            router=_clean(decision.router),
            experts=_json(decision.experts),
            reason=_clean(decision.reason[:_LONGEST]),
            confidence=decision.confidence,
            artifact=self._artifact(decision.router),
        )

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
        said = self._redaction.of(request.prompt if request.messages == () else request.messages)
        return None if said is None else _json(said)

    def _keep(self, row: DecisionRow) -> None:
        texts: Iterable[str | None] = (row.experts, row.reason, row.calls, row.prompt, row.answer)
        size = _ROW_BYTES + sum(len(text.encode()) for text in texts if text)
        self._writer.put(decisions.keep, replace(row, size=size), size)

    def _count(self, request: Request, composition: str, expert: str, **counts: Any) -> None:
        row = UsageRow(
            day=datetime.now(UTC).date().isoformat(),
            key=_clean(request.caller.key),
            tenant=_clean(request.caller.tenant),
            composition=composition,
            expert=expert,
            **counts,
        )
        self._writer.put(usage.keep, row, _ROW_BYTES)


def _clean(text: str) -> str:
    """Return a text less what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    """Return JSON without what no database takes."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, str):
            return _clean(value)
        if isinstance(value, list | tuple):
            return [cleaned(item) for item in value]
        if isinstance(value, dict):
            return {_clean(name): cleaned(item) for name, item in value.items()}
        return value

    return orjson.dumps(cleaned(value), default=str).decode()


def _count(number: int) -> int:
    return min(max(number, 0), _MOST)


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0
