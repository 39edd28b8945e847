"""One tree of spans a request, by OpenTelemetry's conventions for generative AI.

A span for the request, below it one for the decision and one for each expert call. They are made
when the request has ended, from what observers are told: nothing of it delays an answer. They hold
names, counts and times, and never what was asked or answered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from motet.config import Telemetry
from motet.operations.base import Observer, Outcome
from motet.operations.export import Exporter
from motet.operations.tracing import Tracing
from motet.types import Call, Decision, Request, SpanContext, Task

_MOST_OPEN = 65_536
"""Requests under way that are remembered."""
_CANCELLED = "cancelled"
_OTHER = "_OTHER"
"""What the conventions call an error without a name."""
_OPERATIONS = {Task.ANSWER: "chat", Task.EMBED: "embeddings", Task.MODERATE: "moderation"}
_NS = 1_000_000_000
_VERSION = version("motet")

Value = str | bool | int | float | tuple[str, ...]


@dataclass(slots=True)
class _Tree:
    decision: Decision | None = None
    calls: list[Call] = field(default_factory=list)


class Tracer(Observer):
    """Writes the spans of each request that is sampled.

    Parameters
    ----------
    exporter
        Where they go.
    """

    def __init__(self, tracing: Tracing, exporter: Exporter) -> None:
        self._tracing = tracing
        self._exporter = exporter
        self._open: dict[str, _Tree] = {}

    @classmethod
    def of(cls, settings: Telemetry, tracing: Tracing) -> Tracer:
        """Return the tracer that a config asks for."""
        assert settings.otlp is not None, "traces go somewhere"
        headers = {name: each.get_secret_value() for name, each in settings.headers.items()}
        about = {
            "service.name": settings.service_name,
            "service.version": _VERSION,
            "service.instance.id": os.urandom(8).hex(),
        }
        scope = InstrumentationScope(name="motet", version=_VERSION)
        resource = Resource(attributes=_attributes(about))
        return cls(tracing, Exporter(settings.otlp, headers, resource, scope))

    @property
    def dropped(self) -> int:
        """Spans that the collector did not get."""
        return self._exporter.dropped

    def began(self, request: Request, composition: str) -> None:
        """Wait for the rest, where the request is sampled."""
        if not self._tracing.span_of(request).sampled:
            return
        if len(self._open) >= _MOST_OPEN:
            del self._open[next(iter(self._open))]  # its end was dropped on the way here
        self._open[request.id] = _Tree()

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Remember the decision until the end."""
        under_way = self._open.get(request.id)
        if under_way is not None:
            under_way.decision = decision

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Remember a call until the end."""
        under_way = self._open.get(request.id)
        if under_way is not None:
            under_way.calls.append(call)

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Send the spans of a request."""
        under_way = self._open.pop(request.id, None)
        if under_way is None:
            return
        context = self._tracing.span_of(request)
        began = outcome.began
        decision, calls = under_way.decision, under_way.calls
        root = _span(context, f"invoke_workflow {composition}", began, outcome.seconds)
        root.kind = Span.SPAN_KIND_SERVER
        root.parent_span_id = b"" if request.trace is None else _id(request.trace.span_id)
        root.attributes.extend(_attributes(_of_request(request, composition, decision, outcome)))
        _mark(root, None if outcome.status == "ok" else outcome.status)
        self._exporter.put(root)
        if decision is not None and outcome.decided_s is not None:
            self._exporter.put(_decided(context, decision, began, outcome.decided_s))
        for number, call in enumerate(calls):
            self._exporter.put(_called(context, request, call, began, number))

    def close(self) -> None:
        """Send what is left."""
        self._exporter.close()


def _span(context: SpanContext, name: str, began: float, seconds: float) -> Span:
    """Return a span; times are Unix times and seconds."""
    start = int(began * _NS)
    return Span(
        trace_id=_id(context.trace_id),
        span_id=_id(context.span_id),
        trace_state=context.state,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start + max(0, int(seconds * _NS)),
    )


def _decided(root: SpanContext, decision: Decision, began: float, seconds: float) -> Span:
    span = _span(root.child("decision"), f"decide {decision.router}", began, seconds)
    span.parent_span_id = _id(root.span_id)
    span.attributes.extend(_attributes(_of_decision(decision)))
    return span


def _called(root: SpanContext, request: Request, call: Call, began: float, number: int) -> Span:
    context = call.span or root.child(f"call {number}")  # a batch passes none on
    ended = call.started if call.finished is None else call.finished
    operation = _OPERATIONS[request.task]
    if request.prompt is not None:
        operation = "text_completion"
    span = _span(context, f"{operation} {call.expert}", began + call.started, ended - call.started)
    span.kind = Span.SPAN_KIND_CLIENT
    span.parent_span_id = _id(root.span_id)
    span.attributes.extend(_attributes(_of_call(operation, call)))
    _mark(span, None if call.error is None else call.code or _OTHER)
    return span


def _of_request(
    request: Request, composition: str, decision: Decision | None, outcome: Outcome
) -> dict[str, Value | None]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": composition,
        "gen_ai.request.stream": request.stream,
        "gen_ai.response.model": outcome.author,
        "gen_ai.response.time_to_first_chunk": outcome.first_chunk_s,
        "motet.request.id": request.id,
        "motet.status": outcome.status,
        "motet.key": request.caller.key or None,
        "motet.tenant": request.caller.tenant or None,
        "motet.cost_usd": outcome.cost_usd,
        **({} if decision is None else _of_decision(decision)),
    }


def _of_decision(decision: Decision) -> dict[str, Value | None]:
    return {
        "motet.decision.id": decision.id,
        "motet.router": decision.router,
        "motet.experts": decision.experts,
        "motet.confidence": decision.confidence,
    }


def _of_call(operation: str, call: Call) -> dict[str, Value | None]:
    wait = None if call.first_chunk is None else call.first_chunk - call.started
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "motet",
        "gen_ai.request.model": call.expert,
        "gen_ai.response.model": call.expert,
        "gen_ai.response.finish_reasons": None if call.finish is None else (call.finish,),
        "gen_ai.response.time_to_first_chunk": wait,
        "gen_ai.usage.input_tokens": call.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": call.usage.completion_tokens,
        "motet.purpose": str(call.purpose),
        "motet.fused": call.fused or None,
        "motet.cost_usd": call.cost_usd,
    }


def _mark(span: Span, error: str | None) -> None:
    """Say how a span ended; a client that left, or a call nobody needed any more, is no error."""
    if error is None:
        return
    span.attributes.extend(_attributes({"error.type": error}))
    if error != _CANCELLED:
        span.status.code = Status.STATUS_CODE_ERROR


def _attributes(values: Mapping[str, Value | None]) -> list[KeyValue]:
    return [
        # A mapping in the place of the message: making that takes as long again.
        KeyValue(key=key, value=_any(value))  # type: ignore[arg-type]
        for key, value in values.items()
        if value is not None
    ]


def _any(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int):
        return {"int_value": value}
    if isinstance(value, float):
        return {"double_value": value}
    return {"array_value": {"values": [_any(each) for each in value]}}


def _id(digits: str) -> bytes:
    return bytes.fromhex(digits)
