"""Logs as a config wants them: in words or as JSON, and a line for each request if it says so."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from motet.config import Telemetry
from motet.operations.base import Observer, Outcome
from motet.types import Request

WORDS = "%(asctime)s %(levelname)s %(name)s: %(message)s"
UNDER_WAY: ContextVar[str] = ContextVar("motet_request", default="")
"""The id of the request that a task answers, for what is logged on its way."""
log = logging.getLogger(__name__)


def begin(settings: Telemetry) -> None:
    """Have this process log as `settings` say, on standard error."""
    # The process's own: in a replica, Serve puts a logger in the place of `sys.stderr`.
    stream = sys.__stderr__ or sys.stderr
    if settings.logs == "json":
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler], level=logging.root.level, force=True)
    else:
        logging.basicConfig(stream=stream, level=logging.root.level, format=WORDS)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each batch of spans we send
    if settings.requests:
        log.setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, logger, message, and the request if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := UNDER_WAY.get():
            line["request_id"] = request
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class RequestLog(Observer):
    """Logs each request once it is over: who asked whom, how it ended, and what it took."""

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Log one request."""
        usage = outcome.usage
        experts = tuple(dict.fromkeys(call.expert for call in outcome.calls))
        fields = {
            "request_id": request.id,
            "key": request.caller.key,
            "composition": composition,
            "experts": experts,
            "status": outcome.status,
            "seconds": round(outcome.seconds, 6),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": outcome.cost_usd,
        }
        log.info(
            "%s of %s to %s: %s after %.3f s, asked %s, %d + %d tokens, %g USD",
            request.id,
            request.caller.key or "anybody",
            composition,
            outcome.status,
            outcome.seconds,
            ", ".join(experts) or "nobody",
            usage.prompt_tokens,
            usage.completion_tokens,
            outcome.cost_usd,
            extra={"fields": fields},
        )
