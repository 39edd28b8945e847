"""What can go wrong between us and a host: every exception of the HTTP client becomes one of these.

It raises dozens of kinds, some of them wrapped in one another and some in none of its own base
classes. Which matter is what had happened by then: whether anything was sent, whether
anything came back, and whether the host itself was at fault.
"""

from __future__ import annotations

import asyncio

import aiohttp


class HostFault(Exception):
    """A call to a host failed in the middle, or in a way that says nothing else."""


class Unreachable(HostFault):
    """No connection was made, so nothing was sent.

    Attributes
    ----------
    waited
        Whether it took the whole time allowed, so that trying again would take it once more.
    """

    def __init__(self, message: str, *, waited: bool = False) -> None:
        super().__init__(message)
        self.waited = waited


class Dropped(HostFault):
    """The connection was closed before anything came back, as hosts do with one that idled."""


class Silent(HostFault):
    """Nothing came for as long as is allowed."""


class Crowded(HostFault):
    """All connections were taken for as long as is allowed: we are busy, and not the host."""


class TooMuch(HostFault):
    """More bytes came than are allowed."""


def fault_of(error: Exception, *, begun: bool) -> HostFault:
    """Return what an exception of aiohttp, or of what it stands on, means.

    Parameters
    ----------
    begun
        Whether the answer's head had come.
    """
    if isinstance(error, HostFault):
        return error  # it was told by whoever saw it
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and isinstance(cause, Exception):
        causes.append(cause)
    told = f"{type(causes[-1]).__name__}: {causes[-1]}".removesuffix(": ")[:300]

    def any_of(*kinds: type[Exception]) -> bool:
        return any(isinstance(each, kinds) for each in causes)

    if any_of(aiohttp.ConnectionTimeoutError):
        return Unreachable(told, waited=True)
    if any_of(aiohttp.ServerDisconnectedError):
        return HostFault(told) if begun else Dropped(told)
    if any_of(aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL):
        return Unreachable(told)
    if any_of(aiohttp.ClientOSError, ConnectionResetError):
        return HostFault(told) if begun else Dropped(told)
    if any_of(asyncio.TimeoutError):
        return Silent(told)
    return HostFault(told)
