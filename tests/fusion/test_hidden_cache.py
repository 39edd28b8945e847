"""What peers have read is kept, and read again where anything that shapes it has changed."""

import pytest
import torch
from tests.fusion.world import QUESTIONS, ask

from motet.fusion.hidden_cache import HiddenCache


class AbsentError(Exception):
    pass


def nobody(member):
    raise AbsentError(member)


def test_peers_read_each_prompt_once(world, tmp_path):
    seen = HiddenCache(tmp_path, world.card, world.member).read("cid", ask(QUESTIONS[0]))
    first = HiddenCache(tmp_path, world.card, nobody)
    again = first.read("cid", ask(QUESTIONS[0]))
    assert torch.equal(seen.ends, again.ends)
    assert all(torch.equal(a, b) for a, b in zip(seen.hidden, again.hidden, strict=True))
    with pytest.raises(AbsentError):  # another prompt is not in the cache
        first.read("cid", ask("never read"))


def test_a_changed_member_reads_anew(world, tmp_path):
    HiddenCache(tmp_path, world.card, world.member).read("cid", ask(QUESTIONS[0]))
    changed = [m.model_copy(update={"revision": "other"}) for m in world.card.members]
    for change in ({"members": changed}, {"mode": "B", "draft_tokens": 4}, {"dtype": "bfloat16"}):
        with pytest.raises(AbsentError):
            HiddenCache(tmp_path, world.card.model_copy(update=change), nobody).read(
                "cid", ask(QUESTIONS[0])
            )
