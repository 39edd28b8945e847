"""What an expert behind a URL is told in the config."""

from __future__ import annotations

from pydantic import (
    ByteSize,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from motet.config import Options, Url
from motet.config.headers import Headers, HeaderValue

FILES = ("ca_file", "client_certificate", "client_key")
"""Options that name files."""


class RemoteConfig(Options):
    """Options of every engine that asks a URL."""

    url: Url
    """Base URL, such as `https://host/v1`; the endpoint is added to its path. A user and password
    in it are sent as basic authentication."""
    model: str
    """The model's name there."""
    api_key: HeaderValue | None = None
    """The key of that host; write `${ENV}`, never the key itself."""
    headers: Headers = Field(default_factory=dict)
    """Further headers of every request, such as an organisation's; values may be `${ENV}`."""
    omit: tuple[str, ...] = ()
    """Fields of the body that this host refuses, such as `stream_options`. That one, and which of
    `max_tokens` and `max_completion_tokens` a host takes, are also learned from its refusals."""
    ca_file: str | None = None
    """PEM file of the authorities that vouch for the host, instead of the system's."""
    client_certificate: str | None = None
    """PEM file of the certificate with which Motet names itself."""
    client_key: str | None = None
    """PEM file of that certificate's key, where it is not in the same file."""
    connect_timeout_s: PositiveFloat = 5.0
    """Seconds to open a connection."""
    read_timeout_s: PositiveFloat = 60.0
    """Longest silence between two pieces of an answer, in seconds."""
    retries: NonNegativeInt = Field(default=2, le=10)
    """Repeats after a failure before the first byte, with jittered exponential back-off. Who is
    told to wait longer than two seconds gives up, so that the next expert is asked."""
    connections: PositiveInt = 512
    """Requests to that host at once at most; others wait their turn."""
    max_answer_bytes: ByteSize = ByteSize(32 * 1024 * 1024)
    """Longest answer that is read; a longer one is a failure."""
