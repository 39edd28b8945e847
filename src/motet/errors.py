"""Every error that Motet raises on purpose.

    MotetError
    ├── ConfigError                  the config is wrong; names line and field
    ├── TableError                   a routing table is wrong; names column and row
    ├── ArtifactError                a trained artifact is absent, damaged or stale
    ├── SourceError                  weights cannot be fetched or converted
    ├── DeployError                  the service cannot be started or joined
    ├── BatchError                   a batch cannot be begun, or not go on
    ├── StoreError              503  what is kept cannot be read or written
    ├── NoWall                       what a model wrote cannot be run safely here
    ├── InternalError           500  code that Motet does not own failed, or its own did
    ├── Unauthorized            401  the service wants a key
    ├── RequestError            400  the client must change the request
    │   ├── UnknownModel        404
    │   ├── NotFound            404  no file or batch has that id
    │   ├── ContextLengthExceeded
    │   ├── UnsupportedRequest       no expert has the capability it needs
    │   ├── BudgetExceeded           its token or cost budget, or fan-out cap, is used up
    │   ├── RateLimited         429  its key asks more than its limits allow
    │   ├── BudgetSpent         429  its key has spent what it may
    │   ├── QuotaExceeded            what the caller keeps would be more than it may be
    │   ├── InvalidLine              a line of a batch's input is no request
    │   ├── ConfigRefused            a config that was sent is wrong; the running one goes on
    │   ├── Forbidden           403  the key lacks the scope
    │   ├── ForeignSite         403  a page of another site asks, or another name is asked
    │   ├── UnsupportedMedia    415  the body is of another type than JSON
    │   ├── RequestTimeout      408  its body did not arrive in time
    │   └── RequestTooLarge     413
    ├── DeadlineExceeded        504  the composition's time is up
    ├── ApplyFailed             409  a new config did not come up; the running one goes on
    ├── ServiceStopping         503  the service stops before the answer is whole
    ├── NoExpertAvailable       503  nothing in the fleet can answer now
    └── ExpertError             502  one expert failed; another may do better
        ├── ExpertUnavailable   503
        ├── ExpertOverloaded    429
        ├── ExpertTimeout       504
        └── ExpertRejected      400  the expert refuses this request; asking again will not help

`status` is the HTTP status, `type` and `code` are OpenAI's fields of the error body, `retryable`
says whether the same request may succeed later or elsewhere, `hint` says what to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from motet.wording import did_you_mean, nearest

_MOST_SHOWN = 30
"""Problems of a config that its message lists."""


class MotetError(Exception):
    """Base of every error that Motet raises on purpose."""

    status = 500
    type = "server_error"
    code: str | None = None
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    @property
    def status_name(self) -> str:
        """What an end by this error is counted as."""
        return self.code or str(self.status)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes; their constructors take more than the message.
        return restore, (type(self), self.__dict__)


def restore(kind: type[MotetError], state: dict[str, Any]) -> MotetError:
    """Return the error of that kind whose attributes are `state`."""
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (state["message"],)
    return error


class ConfigError(MotetError):
    """The config file or an artifact is wrong.

    Attributes
    ----------
    problems
        One line of text each, naming file, line, field and remedy where they are known.
    at
        Where in its own options a component found the fault; the loader adds file and line.
    """

    code = "invalid_config"

    def __init__(
        self, problems: str | list[str], *, hint: str = "", at: tuple[str | int, ...] = ()
    ) -> None:
        self.problems = [problems] if isinstance(problems, str) else problems
        self.at = at
        lines = self.problems[:_MOST_SHOWN]
        if len(self.problems) > _MOST_SHOWN:
            lines = [*lines, f"... and {len(self.problems) - _MOST_SHOWN} more."]
        super().__init__("\n".join(lines), hint=hint)


class TableError(MotetError):
    """A routing table, or a file of prompts, is wrong."""

    code = "invalid_table"


class ArtifactError(MotetError):
    """A trained artifact is absent, damaged, or does not fit what it is used with."""

    code = "invalid_artifact"


class SourceError(MotetError):
    """Model weights cannot be fetched, read or converted."""

    code = "weights_unavailable"


class DeployError(MotetError):
    """The service cannot be started, joined or changed."""

    code = "deploy_failed"


class BatchError(MotetError):
    """A batch cannot be begun, or cannot go on."""

    code = "batch_failed"


class StoreError(MotetError):
    """What is kept cannot be read or written, such as on a full disk."""

    status = 503
    type = "service_unavailable_error"
    code = "store_failed"
    retryable = True


class NoWall(MotetError):
    """What a model wrote cannot be run safely here."""

    code = "no_wall"


class InternalError(MotetError):
    """A fault in code that Motet does not own, or in its own: clients learn no internals of it."""

    def __init__(self) -> None:
        super().__init__("An internal error ended the answer; the service's log has its cause.")


class Unauthorized(MotetError):
    """The service wants a key that the request does not bring."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self, *, given: bool) -> None:
        super().__init__(
            "The API key is not valid." if given else "An API key is required.",
            hint="Send it as 'Authorization: Bearer KEY'.",
        )


class RequestError(MotetError):
    """The client must change the request."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class UnknownModel(RequestError):
    """No expert or composition has that name."""

    status = 404
    code = "model_not_found"

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(
            f"The model {model!r} does not exist.", hint=did_you_mean(model, known), param="model"
        )


class NotFound(RequestError):
    """No object of that kind has that id."""

    status = 404
    code = "not_found"

    def __init__(self, kind: str, id: str, known: Iterable[str] = ()) -> None:
        match = nearest(id, known)
        super().__init__(
            f"No such {kind}: {id!r}.",
            hint=f"Did you mean {match!r}?" if match else "The list has every one there is.",
            param="id",
        )


class ContextLengthExceeded(RequestError):
    """The prompt, with the tokens to generate, does not fit the expert's context."""

    code = "context_length_exceeded"

    def __init__(self, *, limit: int, wanted: int, expert: str = "") -> None:
        where = f" of {expert!r}" if expert else ""
        super().__init__(
            f"The maximum context length{where} is {limit} tokens, but the request needs "
            f"at least {wanted} (prompt plus tokens to generate).",
            hint="Shorten the messages or lower max_tokens.",
            param="messages",
        )
        self.limit = limit
        self.wanted = wanted


class UnsupportedRequest(RequestError):
    """No expert that may answer has a capability the request needs."""

    code = "unsupported_request"


class BudgetExceeded(RequestError):
    """The request's token budget, cost budget or fan-out cap is used up."""

    code = "budget_exceeded"


class RateLimited(RequestError):
    """A key asks more than its limits allow."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    retryable = True

    def __init__(self, key: str, what: str, limit: int, wait_s: float) -> None:
        super().__init__(
            f"The key {key!r} may have {limit} {what}, and has them.",
            hint=f"Try again in {max(1, math.ceil(wait_s))} s.",
            retry_after=wait_s,
        )


class BudgetSpent(RequestError):
    """A key has spent what it may."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"

    def __init__(self, key: str, usd: float, period: str, wait_s: float) -> None:
        super().__init__(
            f"The key {key!r} may spend {usd:g} USD a {period}, and has.",
            hint="Ask whoever gave you the key.",
            retry_after=wait_s,
        )


class QuotaExceeded(RequestError):
    """What the caller keeps here would be more than it may be."""

    code = "quota_exceeded"


class InvalidLine(RequestError):
    """A line of a batch's input is no request that a batch can hold."""

    code = "invalid_line"


class ConfigRefused(RequestError):
    """A config that was sent is wrong, and nothing of it is in place."""

    code = "config_refused"


class Forbidden(RequestError):
    """The key is good, and not for this."""

    status = 403
    type = "permission_error"
    code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This needs a key with the scope {scope!r}.", hint="Ask whoever gave you the key."
        )


class ForeignSite(RequestError):
    """A page of another site asks, or the service is asked under a name that is not its own."""

    status = 403
    code = "foreign_site"


class UnsupportedMedia(RequestError):
    """The body is of another type than JSON."""

    status = 415
    code = "unsupported_media_type"


class RequestTimeout(RequestError):
    """The request body did not arrive in time."""

    status = 408
    code = "request_timeout"
    retryable = True


class RequestTooLarge(RequestError):
    """The request body is over the service's limit."""

    status = 413
    code = "request_too_large"

    def __init__(
        self, *, limit: int, size: int | None = None, setting: str = "service.max_body_bytes"
    ) -> None:
        got = f"{size} bytes" if size is not None else "more"
        super().__init__(
            f"The request body is limited to {limit} bytes, and {got} arrived.",
            hint=f"Send less, or raise {setting}.",
        )


class DeadlineExceeded(MotetError):
    """The composition's time for one request is up."""

    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"
    retryable = True


class ApplyFailed(MotetError):
    """A config is right and did not come up; the one before it goes on."""

    status = 409
    type = "invalid_request_error"
    code = "apply_failed"


class ServiceStopping(MotetError):
    """The service stops before the answer is whole."""

    status = 503
    type = "service_unavailable_error"
    code = "service_stopping"
    retryable = True

    def __init__(self) -> None:
        super().__init__("The service stops before this answer is whole.", hint="Ask again.")


class NoExpertAvailable(MotetError):
    """Nothing in the fleet can answer now."""

    status = 503
    type = "service_unavailable_error"
    code = "no_expert_available"
    retryable = True


class ExpertError(MotetError):
    """One expert failed while answering."""

    status = 502
    type = "api_error"
    code = "expert_failed"
    retryable = True

    def __init__(
        self, expert: str, message: str, *, hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"Expert {expert!r}: {message}", hint=hint, retry_after=retry_after)
        self.expert = expert


class ExpertUnavailable(ExpertError):
    """The expert cannot be reached or is not up."""

    status = 503
    type = "service_unavailable_error"
    code = "expert_unavailable"


class ExpertOverloaded(ExpertError):
    """The expert's queue is full or its rate limit is reached."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class ExpertTimeout(ExpertError):
    """The expert took longer than its time-out."""

    status = 504
    type = "timeout_error"
    code = "expert_timeout"


class ExpertRejected(ExpertError):
    """The expert refuses this request; the same expert will refuse it again."""

    status = 400
    type = "invalid_request_error"
    code = "expert_rejected"
    retryable = False


def first_of(errors: BaseExceptionGroup[MotetError]) -> MotetError:
    """Return the first error of a group, however deep it stands."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MotetError)
    return error
