"""Rows of one primary: peers read first, one that fails is left out, and memory is held once."""

import asyncio

import pytest
import torch
from tests.fusion.served import answer, ask, reading, served, started
from tests.fusion.world import QUESTIONS

from motet.fusion.generate import FusedBatch


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return served(tmp_path_factory.mktemp("served"))


@pytest.mark.parametrize("broken, left", [("bob", ["cid"]), ("cid", ["bob"])])
async def test_a_peer_that_fails_leaves_the_answer_without_it(world, broken, left):
    failing = set()

    def read(member, tokens, draft):
        if member.id in failing:
            raise RuntimeError("out of luck")
        return member.read(tokens, draft)

    async with started(world, load=reading(read)) as expert:

        async def answers(**chosen):
            return [await answer(expert, ask(question, **chosen)) for question in QUESTIONS]

        without = await answers(peers=left)
        failing.add(broken)
        assert await answers() == without
        failing.clear()
        assert (await expert.health()).ready
        assert await answers() != without


async def test_what_peers_have_read_is_held_once(world):
    """A batch packs the memories of its rows, and keeps no other copy, whoever comes and goes."""

    def stores(pairs):
        return {x.untyped_storage().data_ptr() for pair in pairs for x in pair}

    def step(batch):
        batch.step()
        jobs, made = batch._decoding
        assert {s for job in jobs for s in stores(job.memory.levels)} == stores(made._levels)
        return len(jobs)

    async with started(world) as expert:
        expert.fusion.members[0].ends = frozenset()  # answers would end by themselves
        batch = FusedBatch(expert.fusion.layers, 0, expert.fusion.members, 0)
        with torch.inference_mode():
            for rows, question in enumerate(QUESTIONS[:3], 1):
                job = expert.fusion.job(
                    ask(question, max_tokens=50), asyncio.get_running_loop(), expert.options, 256
                )
                for _ in batch.read(job):
                    pass
                assert step(batch) == rows
            batch.keep([False, True, True])
            assert step(batch) == 2
