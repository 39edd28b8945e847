"""Why a good request is not answered: time, the service, an expert."""

from __future__ import annotations

from motet.errors.base import MotetError


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
