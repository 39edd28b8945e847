"""What is wrong with a request, or with who sends it: the client must change something."""

from __future__ import annotations

import math
from collections.abc import Iterable

from motet.errors.base import MotetError
from motet.wording import did_you_mean, nearest


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

    def __init__(
        self,
        kind: str,
        id: str,
        known: Iterable[str] = (),
        *,
        hint: str = "The list has every one there is.",
    ) -> None:
        match = nearest(id, known)
        super().__init__(
            f"No such {kind}: {id!r}.",
            hint=f"Did you mean {match!r}?" if match else hint,
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
