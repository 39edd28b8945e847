"""The house keeps its own rules, and the look at it sees when one is broken."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
import house


@pytest.fixture(scope="module")
def here():
    return house.House.read()


def test_no_rule_is_broken(here):
    assert here.check() == []
    assert house.written(here) == house.MAP.read_text()


def with_module(here, place, text):
    """Return the house with one more module."""
    module = house.Module(house.SOURCE / place, ast.parse(text), text.count("\n"))
    return house.House(here.rooms, [*here.modules, module], here.registered)


@pytest.mark.parametrize(
    ("place", "text", "problem"),
    [
        ("lab/more.py", "class Motet:\n    x = 1\nMotet", "class Motet stands in"),
        ("lab/more.py", "x = 1\n" * 401 + "x", "has 401 lines"),
        ("lab/more.py", "def f():\n" + "    1\n" * 60 + "f()", "f has 61 lines"),
        ("lab/more.py", "def f(a, b, c, d, e, g, h, i, j): ...\nf()", "takes 9 values"),
        ("config/more.py", "X = 'motet.cli.main:main'\nX", "which stands above it"),
        ("lab/more.py", "from motet.weights._packages import fetch", "private to its folder"),
        ("lab/more.py", "from motet.weights import _packages", "private to its folder"),
        ("lab/more.py", "def an_unused_name(): ...", "an_unused_name, which nothing uses"),
        ("lab/more.py", "AN_UNUSED_NAME = 1", "AN_UNUSED_NAME, which nothing uses"),
        ("lab/more.py", "def f():\n    found = 1\n    return found\nf()", "name what was found"),
    ],
)
def test_a_broken_rule_is_seen(here, place, text, problem):
    assert any(problem in said for said in with_module(here, place, text).check())


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("cli/more.py", "def f(a, b, c, d, e, g, h, i, j): ...\nf()"),
        ("lab/more.py", "X = 'motet.config.load:load'\nX"),
        ("config/more.py", "def say():\n    '''motet.deploy.graph:pool'''\nsay()"),
        ("weights/more.py", "from motet.weights import _packages\n_packages"),
    ],
)
def test_what_is_allowed_is_not_seen(here, place, text):
    assert with_module(here, place, text).check() == []


def test_a_reason_that_is_needed_no_more_is_seen(here, monkeypatch):
    monkeypatch.setitem(house.SHARED_NAMES, "Motet", "it stands once")
    assert any("which stands once" in said for said in here.check())
