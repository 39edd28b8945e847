"""What every error has, and those of what is built and kept."""

from __future__ import annotations

from typing import Any

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


def first_of(errors: BaseExceptionGroup[MotetError]) -> MotetError:
    """Return the first error of a group, however deep it stands."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MotetError)
    return error
