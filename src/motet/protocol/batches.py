"""The body that creates a batch, as OpenAI's clients send it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from motet.protocol.body import checked, json_of

_WINDOW = re.compile(r"([1-9]\d{0,4})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class BatchBody(BaseModel):
    """`POST /v1/batches`."""

    model_config = ConfigDict(strict=True)

    input_file_id: str = Field(min_length=1, description="A file of purpose `batch`.")
    endpoint: str = Field(description="`/v1/chat/completions` or `/v1/completions`.")
    completion_window: str = Field(description="Time it may take, such as `24h`, `30m` or `90s`.")
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None

    @field_validator("completion_window")
    @classmethod
    def _window(cls, value: str) -> str:
        if not _WINDOW.fullmatch(value):
            raise ValueError("a time such as '24h', '30m' or '90s' is expected")
        return value

    @property
    def window_s(self) -> int:
        """The completion window in seconds."""
        match = _WINDOW.fullmatch(self.completion_window)
        assert match is not None
        return int(match[1]) * _SECONDS[match[2]]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the body in `content`.

        Raises
        ------
        RequestError
            It is not JSON, or not of this form; names the field.
        """
        values: Any = json_of(content)
        return checked(values, cls.model_validate)
