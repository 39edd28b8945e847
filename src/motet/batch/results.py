"""The lines of a batch's output and error files. All of a line derives from its job and number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from motet.batch.lines import Line, Rules
from motet.composer.calls import Calls
from motet.composer.explanation import explanation
from motet.errors import InvalidLine, MotetError
from motet.protocol.errors import error_of
from motet.types import Decision
from motet.whole import Whole


@dataclass(frozen=True, slots=True)
class Job:
    """What tells one batch from another.

    Attributes
    ----------
    id
        Its key in the store.
    seed
        What the ids in its results are made of: the same for the same input.
    created
        The Unix time in seconds that its answers carry.
    rules
        What it asks of its lines.
    """

    id: str
    seed: str
    created: int
    rules: Rules = field(default_factory=Rules)

    def made_id(self, prefix: str, number: int) -> str:
        """Return the id of line `number`, the same whenever it is made."""
        digest = hashlib.sha256(f"{self.seed}:{number}".encode()).hexdigest()
        return f"{prefix}{digest[:32]}"

    def request_id(self, number: int) -> str:
        """Return the id of the request in line `number`."""
        return self.made_id("req-", number)

    def answered(
        self, number: int, line: Line, decision: Decision, calls: Calls, answer: Whole
    ) -> bytes:
        """Return the output line of a strategy that has ended well."""
        framer = line.body.framer(self.made_id(line.body.prefix, number), self.created)
        about = None
        if line.body.explain:
            about = explanation(line.request.model, decision, calls, timed=False)
        author = calls.author or decision.primary
        body = orjson.loads(framer.whole(answer, author, calls.usage, about))
        return self._line(number, line.custom_id, self._response(number, 200, body), None)

    def refused(self, number: int, custom_id: str | None, error: MotetError) -> bytes:
        """Return the line of the error file for a request that has failed."""
        if not isinstance(error, InvalidLine):
            response = self._response(number, error.status, error_of(error))
            return self._line(number, custom_id, response, None)
        fault = {
            "code": error.code,
            "message": f"Line {number}: {error}",
            "param": error.param,
            "line": number,
        }
        return self._line(number, custom_id, None, fault)

    def unfinished(self, number: int, custom_id: str | None, code: str, message: str) -> bytes:
        """Return the line of the error file for a request that was not asked to its end."""
        return self._line(number, custom_id, None, {"code": code, "message": message})

    def _response(self, number: int, status: int, body: Any) -> dict[str, Any]:
        return {"status_code": status, "request_id": self.request_id(number), "body": body}

    def _line(self, number: int, custom_id: str | None, response: Any, error: Any) -> bytes:
        fields = {
            "id": self.made_id("batch_req_", number),
            "custom_id": custom_id,
            "response": response,
            "error": error,
        }
        return orjson.dumps(fields) + b"\n"
