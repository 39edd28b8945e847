"""The card of a fusion: what it says must fit itself and the config it stands in."""

import pytest
from tests.fusion.served import CONFIG, served

from motet.composer.assembly import assemble
from motet.config import ExpertEntry, parse
from motet.errors import ArtifactError, ConfigError
from motet.fusion.card import CARD, check_members, read_card, write_card


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return served(tmp_path_factory.mktemp("served"))


@pytest.mark.parametrize(
    "change, match",
    [
        (("{id: cid, engine: transformers, model: cid}", "{id: sid, engine: fake}"), "'sid'"),
        (("model: bob", "model: cid"), "it was trained with 'bob' as 'bob', but here.*'cid'"),
        (("artifact: art", "artifact: nowhere"), "holds no fusion"),
        (("expert: fusion}", "expert: fusio}"), "Did you mean 'fusion'"),
        (("expert: fusion}", "expert: ann}"), "engine 'transformers', which fuses nothing"),
    ],
)
def test_configs_that_do_not_fit(world, change, match):
    text = CONFIG.replace("FIRST", "ann").replace("OTHERS", "bob").replace(*change)
    with pytest.raises(ConfigError, match=match):
        assemble(parse(text, folder=world.folder))


def test_a_card_comes_back_as_it_was_written(world, tmp_path):
    write_card(tmp_path, world.card)
    assert read_card(tmp_path) == world.card
    (tmp_path / CARD).write_text((tmp_path / CARD).read_text().replace('"ann"', '"anne"', 1))
    with pytest.raises(ArtifactError, match="primary 'ann' is no member"):
        read_card(tmp_path)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(ArtifactError, match="damaged"):
        read_card(tmp_path)


def test_an_adapter_is_a_part_of_a_member(world):
    experts = {
        m.id: ExpertEntry(id=m.id, engine="transformers", model=m.model) for m in world.card.members
    }
    check_members(world.card, experts)
    experts["bob"] = ExpertEntry(id="bob", engine="transformers", model="bob", adapter="taught")
    with pytest.raises(ArtifactError, match="here that expert is 'bob' with the adapter 'taught'"):
        check_members(world.card, experts)
