"""Which replica of a pool is asked: the one that has read the beginning of the prompt before.

Serve runs this in every process that calls the pool, so it imports no more than that has already.
Ray's own `PrefixCacheAffinityRouter` keeps its tree in an actor and waits for it on the caller's
event loop, twice a request; this one remembers what its own process has sent where.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from motet.types import Request

BLOCK = 256
"""Characters that are compared at once; less in common is not worth a choice."""
_BLOCKS = 128
_KNOWN = 65_536
"""Beginnings that are remembered, the latest."""
_UNEVEN = 8
"""Requests that a replica may have more than the least busy one, until affinity gives way."""


class PrefixRouter(RequestRouter):  # type: ignore[misc]  # Ray ships no types
    """Sends a request to the replica that has read most of its beginning, unless that is busy.

    Otherwise two replicas are drawn, and Serve takes the less busy one.
    """

    def initialize_state(self, known: int = _KNOWN, **_: Any) -> None:
        """Begin without a memory, which will hold so many beginnings; Serve calls it once."""
        self._most = known
        self._readers: OrderedDict[int, ReplicaID] = OrderedDict()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return replicas to try, best first, as Serve's router asks for them."""
        two = random.sample(candidate_replicas, min(2, len(candidate_replicas)))
        known = {replica.replica_id: replica for replica in candidate_replicas}
        reader = self._reader(pending_request, known)
        if reader is None or self._busier(reader, known):
            return [two]
        return [[known[reader]], two]

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: object
    ) -> None:
        """Remember that a replica reads this prompt; Serve calls it for each request."""
        for beginning in _beginnings(pending_request):
            self._readers[beginning] = replica_id
            self._readers.move_to_end(beginning)
        while len(self._readers) > self._most:
            self._readers.popitem(last=False)

    def _reader(
        self, pending_request: PendingRequest | None, known: dict[ReplicaID, RunningReplica]
    ) -> ReplicaID | None:
        """Return which of the replicas has read the longest beginning of a request."""
        longest = None
        for beginning in _beginnings(pending_request):
            reader = self._readers.get(beginning)
            if reader is None:
                break
            longest = reader if reader in known else longest
        return longest

    def _busier(self, reader: ReplicaID, known: dict[ReplicaID, RunningReplica]) -> bool:
        lengths = {replica: self.replica_queue_len_cache.get(replica) or 0 for replica in known}
        return bool(lengths[reader] - min(lengths.values()) > _UNEVEN)


def _beginnings(pending_request: PendingRequest | None) -> Iterator[int]:
    """Yield a number for each beginning of a request's text, the shortest first.

    The numbers of two requests are equal as far as their experts and whole blocks of text are.
    """
    arguments: list[Any] = pending_request.args if pending_request else []
    request = next((a for a in arguments if isinstance(a, Request)), None)
    if request is None:  # a call of the swapper, not an answer
        return
    text = request.text
    number = hash(arguments[0])
    for start in range(0, min(len(text), _BLOCKS * BLOCK) - BLOCK + 1, BLOCK):
        number = hash((number, text[start : start + BLOCK]))
        yield number
