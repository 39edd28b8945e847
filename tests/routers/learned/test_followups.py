"""What a follow-up goes on with, by what an artifact and its encoder say of the turns."""

import numpy as np
import pytest

from motet.routers.learned.base import Estimate
from motet.routers.learned.followups import FollowUps, embedded

TABLE = "Table: orders(id, customer, total). Which orders are over 100?"


class Artifact:
    """Estimates what it is told of each text, and counts what it is asked."""

    def __init__(self, **best):
        self.asked = []
        self._best = best

    def estimate(self, queries):
        (text,) = queries.texts
        self.asked.append(text)
        quality = np.array([[self._best.get(text.split()[0], 0.5), 0.1]], np.float32)
        return Estimate(quality=quality, error=np.zeros_like(quality))


class Batcher:
    """Embeds texts that begin alike into one direction."""

    async def embed(self, text):
        vector = np.zeros(26, np.float32)
        vector[(ord(text[0].lower()) - ord("a")) % 26] = 1.0
        return vector


async def test_closeness_is_that_of_the_embeddings():
    follow_ups = FollowUps(Artifact(), Batcher())
    assert (
        await follow_ups.newest([TABLE, "The oldest customer, who is it for each town?"])
    ).head == 0
    assert (await follow_ups.newest([TABLE, "Who painted the famous Mona Lisa?"])).head is None


async def test_what_is_clearly_for_an_expert_opens_a_thread():
    turns = [TABLE, "and how many feet are there in those yards?"]
    assert (await FollowUps(Artifact(), Batcher()).newest(turns)).head == 0
    assert (await FollowUps(Artifact(**{"and": 0.9}), Batcher()).newest(turns)).head is None


async def test_each_turn_is_looked_at_once():
    artifact = Artifact()
    follow_ups = FollowUps(artifact, None)
    turns = []
    for number in range(40):
        turns.append(f"and {number}?")
        await follow_ups.newest(turns)
    assert len(artifact.asked) == 40


async def test_an_old_head_keeps_its_number():
    turns = [f"Why is number {number} odd?" for number in range(30)]
    of = await FollowUps(Artifact(), None).newest([*turns, "and the one after it?"])
    assert of.head is not None and 14 <= of.head <= 29


@pytest.mark.parametrize("head", [None, "zebra"])
async def test_an_embedding_has_length_one_and_the_question_counts_half(head):
    vector = await embedded("apple", head, Batcher())
    assert vector.shape == (1, 26)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    assert vector[0, 25] == pytest.approx(0.0 if head is None else 2**-0.5)
