"""Members: models of several families, cut into stacks, and which weights they are."""

import pytest
import torch
from tests.fusion.world import ask, entries

from motet.config import ExpertEntry
from motet.errors import ConfigError, ContextLengthExceeded, SourceError
from motet.fusion.card import MemberCard
from motet.fusion.members import card_of_member, load_member, revision_of


@pytest.mark.parametrize("e, more", [(0, 0.0), (2, 1.0)])
def test_the_gain_of_the_last_norm_is_read_by_family(world, e, more):
    gain = world.members[e].last_gain()
    assert torch.allclose(gain, world.members[e].decoder.norm.weight + more, atol=1e-4)


@pytest.mark.parametrize("e", [0, 2])
def test_states_after_every_stack_end_in_the_models_own(world, e):
    member = world.members[e]
    tokens = member.encode(ask("the house")).tokens
    hidden, drafted = member.read(tokens)
    assert [h.shape for h in hidden] == [(len(tokens), member.width)] * 2 and not drafted
    with torch.no_grad():
        whole = member.model(torch.tensor([tokens]), output_hidden_states=True)
        assert torch.allclose(member.logits(whole.hidden_states[-1][0]), whole.logits[0], atol=1e-4)
        last = member.decoder.norm(hidden[-1])
    assert torch.allclose(last, whole.hidden_states[-1][0], atol=1e-4)


def test_a_draft_is_what_the_member_would_say(world):
    member = world.members[0]
    tokens = member.encode(ask("the house")).tokens
    hidden, drafted = member.read(tokens, draft=5)
    assert len(hidden[0]) == len(tokens) + len(drafted)
    out = member.model.generate(torch.tensor([tokens]), max_new_tokens=5, do_sample=False)
    wanted = out[0, len(tokens) :].tolist()
    assert drafted == [token for token in wanted if token not in member.ends]


def test_an_answer_is_learnt_with_its_end(world):
    member = world.members[0]
    tokens = member.encode_answer(ask("the house"), " in")
    assert member.tokenizer.decode(tokens[:-1]) == " in"
    assert tokens[-1] in member.ends


def test_what_does_not_fit_is_refused(world):
    with pytest.raises(ContextLengthExceeded):
        world.members[0].encode(ask("x" * 250), room=7)
    with pytest.raises(ConfigError, match="2 layers cannot be cut into 3 stacks"):
        load_member(world.card.members[1], world.setting, levels=3, dtype="float32")


def test_who_can_be_a_member(world):
    known = {**entries(), "api": ExpertEntry(id="api", engine="openai", options={})}
    with pytest.raises(ConfigError, match="no expert 'an'. Did you mean 'ann'"):
        card_of_member("an", known, world.setting)
    with pytest.raises(ConfigError, match="'openai' holds no weights here"):
        card_of_member("api", known, world.setting)
    card = card_of_member("bob", known, world.setting)
    assert (card.model, card.width) == ("bob", 48)


def test_the_revision_is_of_weights_and_template(world):
    card = world.card.members[0]
    assert revision_of(card, world.setting) == card.revision != world.card.members[1].revision
    (world.folder / "own.jinja").write_text("{{ messages }}")
    other = revision_of(card.model_copy(update={"chat_template": "own.jinja"}), world.setting)
    assert other != card.revision
    (world.folder / "bare").mkdir()
    (world.folder / "bare" / "config.json").write_text("{}")
    with pytest.raises(SourceError, match="no safetensors"):
        revision_of(MemberCard(id="x", model="bare"), world.setting)
