"""Conversations stay with the replica that has read them, unless it is much busier."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.deploy.pools import prefix_router
from motet.deploy.pools.prefix_router import BLOCK, PrefixRouter
from motet.types import Request

REPLICAS = [SimpleNamespace(replica_id=name) for name in ("left", "right", "middle")]


def router(lengths=(), **options):
    """A router as Serve makes it, less Serve: queue lengths are given."""
    found = PrefixRouter.__new__(PrefixRouter)
    found._replica_queue_len_cache = dict(lengths)
    found.initialize_state(**options)
    return found


def pending(text, expert="e"):
    request = Request(model="m", messages=({"role": "user", "content": text},))
    return SimpleNamespace(args=[expert, request, None])


async def ask(found, text, replicas=REPLICAS, expert="e"):
    """Return the ranks for a request, which goes to the first of them."""
    asked = pending(text, expert)
    ranks = await found.choose_replicas(replicas, asked)
    found.on_request_routed(asked, ranks[0][0].replica_id, None)
    return ranks


async def test_conversations_stay():
    found = router()
    homes = {}
    texts = {talk: f"{talk} " * BLOCK for talk in range(30)}
    for turn in range(5):
        for talk in texts:
            ranks = await ask(found, texts[talk])
            home = homes.setdefault(talk, ranks[0][0].replica_id)
            assert turn == 0 or (len(ranks) == 2 and [r.replica_id for r in ranks[0]] == [home])
            texts[talk] += f"turn {turn} " * BLOCK
    assert len(Counter(homes.values())) == 3, "strangers are spread"


async def test_the_longest_beginning_counts():
    found = router()
    system = "you are helpful. " * BLOCK
    one, other = system + "A" * BLOCK, system + "B" * BLOCK
    found.on_request_routed(pending(one), "left", None)
    found.on_request_routed(pending(other), "right", None)
    assert (await ask(found, one + "and"))[0][0].replica_id == "left"
    assert (await ask(found, other + "and"))[0][0].replica_id == "right"


@pytest.mark.parametrize(("lead", "gives_way"), [(8, False), (9, True)])
async def test_a_busy_replica_gives_way(lead, gives_way):
    found = router({"left": 3 + lead, "right": 3, "middle": 5})
    text = "x" * 2 * BLOCK
    found.on_request_routed(pending(text), "left", None)
    ranks = await found.choose_replicas(REPLICAS, pending(text))
    assert (len(ranks) == 1) is gives_way


async def test_short_prompts_and_calls_that_are_no_requests_are_drawn():
    found = router()
    for asked in (pending("short"), SimpleNamespace(args=[]), None):
        drawn = Counter()
        for _ in range(200):
            (two,) = await found.choose_replicas(REPLICAS, asked)
            assert len({r.replica_id for r in two}) == 2
            drawn.update(r.replica_id for r in two)
        assert min(drawn.values()) > 80
    assert await found.choose_replicas(REPLICAS[:1], None) == [[REPLICAS[0]]]
    assert await found.choose_replicas([], None) == [[]]


async def test_who_is_gone_is_forgotten():
    found = router()
    text = "x" * 3 * BLOCK
    found.on_request_routed(pending(text[:BLOCK]), "right", None)
    found._readers[list(prefix_router._beginnings(pending(text)))[1]] = "dead"
    ranks = await found.choose_replicas(REPLICAS, pending(text))
    assert ranks[0][0].replica_id == "right", "a shorter beginning of somebody who lives"
    assert len(await found.choose_replicas(REPLICAS[2:], pending(text))) == 1


async def test_experts_of_one_engine_share_nothing():
    """Adapters change keys and values, so their caches differ."""
    found = router()
    text = "x" * 2 * BLOCK
    found.on_request_routed(pending(text, "base"), "left", None)
    assert len(await found.choose_replicas(REPLICAS, pending(text, "adapter"))) == 1


async def test_memory_is_bounded():
    found = router(known=100)
    for number in range(1000):
        await ask(found, f"{number} " * BLOCK)
    assert len(found._readers) <= 100
    assert len(list(prefix_router._beginnings(pending("x" * 10**6)))) == prefix_router._BLOCKS


@given(st.text(max_size=5 * BLOCK), st.text(max_size=5 * BLOCK))
def test_numbers_agree_as_far_as_whole_blocks_do(one, other):
    numbers = [list(prefix_router._beginnings(pending(text))) for text in (one, other)]
    assert [len(found) for found in numbers] == [len(one) // BLOCK, len(other) // BLOCK]
    for block, (a, b) in enumerate(zip(*numbers, strict=False), 1):
        assert (a == b) == (one[: block * BLOCK] == other[: block * BLOCK])
