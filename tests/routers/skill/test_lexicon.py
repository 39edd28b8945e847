"""The lexicon: in the form of keywords, and every word of it shows its skill."""

from motet.routers.skill import lexical
from motet.routers.skill.keywords import MOST_CHARS, normal, usable
from motet.routers.skill.lexicon import SKILLS, triggers


def test_the_lexicon_is_in_the_form_of_keywords():
    assert usable(SKILLS)  # none of them is refused
    assert all(normal(skill) == skill and len(skill) <= MOST_CHARS for skill in SKILLS)


def test_every_trigger_can_be_met():
    for trigger, skill in triggers():
        assert skill in lexical.keywords(f"{trigger} {trigger.upper()}") or shared(trigger) > 1


def shared(trigger):
    return sum(other == trigger for other, _ in triggers())
