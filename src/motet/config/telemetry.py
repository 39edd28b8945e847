"""The section `telemetry`: what a service tells those who watch it, beside its metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from motet.config.headers import Headers
from motet.config.options import Options
from motet.config.url import Url


class Telemetry(Options):
    """Traces and logs. Prompts and answers are in neither."""

    otlp: Url | None = None
    """Where traces are sent, such as `http://collector:4318`: OpenTelemetry's protocol over HTTP,
    in protobuf, at `/v1/traces` below it. No traces when absent."""
    headers: Headers = Field(default_factory=dict)
    """Headers of what is sent there, such as an `authorization`; values may be `${ENV}`."""
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces that begin here and are kept. A request that comes with a `traceparent`
    is traced where its sender traces it."""
    service_name: Annotated[str, Field(min_length=1, max_length=128)] = "motet"
    """What the service is called in traces."""
    logs: Literal["text", "json"] = "text"
    """How logs are written: in words, or one JSON object a line."""
    requests: bool = False
    """Whether each finished request is logged: its id, key, composition, experts, status, seconds,
    tokens and cost."""
