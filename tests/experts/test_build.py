"""Experts are made in one place: by the class of their engine, with the options it checks."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from motet.config import ExpertEntry
from motet.errors import ConfigError
from motet.experts.build import build, engine_of
from motet.experts.fake import FakeConfig, FakeExpert, PooledFake
from motet.weights import Setting

HERE = Setting(Path(), Path())


def test_an_entry_becomes_an_expert_of_its_engine():
    expert = build(ExpertEntry(id="a", engine="fake", tokens=["x"]), HERE)
    assert type(expert) is FakeExpert is engine_of(expert.entry)
    assert expert.options == FakeConfig(tokens=("x",))


def test_options_and_class_may_be_given():
    entry = ExpertEntry(id="a", engine="fake")
    expert = build(entry, HERE, FakeConfig(sign=True), PooledFake)
    assert type(expert) is PooledFake and expert.options.sign


def test_what_the_engine_does_not_know_is_refused():
    with pytest.raises(ConfigError, match="fake"):
        build(ExpertEntry(id="a", engine="fak"), HERE)
    with pytest.raises(ValidationError, match="colour"):
        build(ExpertEntry(id="a", engine="fake", colour="red"), HERE)
