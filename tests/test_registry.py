"""Names lead to classes, lazily, and from other distributions too."""

import sys
from importlib.metadata import EntryPoint

import pytest

from motet.errors import ConfigError
from motet.registry import Registry


def registry(plugins=()):
    found = Registry("router", "none.such", {"constant": "motet.routers.constant:ConstantRouter"})
    found._plugins = {plugin.name: plugin for plugin in plugins}
    return found


def test_loads_on_first_use():
    sys.modules.pop("motet.routers.constant", None)
    found = registry()
    assert found.names() == ["constant"]
    assert "motet.routers.constant" not in sys.modules
    assert found.load("constant").__name__ == "ConstantRouter"


def test_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match=r"unknown router 'constnat'. Did you mean 'constant'"):
        registry().load("constnat")


def test_plugin():
    found = registry([EntryPoint("mine", "collections:OrderedDict", "none.such")])
    assert found.names() == ["constant", "mine"]
    assert found.load("mine").__name__ == "OrderedDict"


def test_plugin_cannot_replace_a_shipped_kind():
    found = registry([EntryPoint("constant", "collections:OrderedDict", "none.such")])
    assert found.load("constant").__name__ == "ConstantRouter"


def test_broken_plugin_is_named():
    found = registry([EntryPoint("mine", "no_such_module:X", "none.such")])
    with pytest.raises(ConfigError, match="router 'mine' comes from .* failed to load"):
        found.load("mine")


def test_a_program_may_add_a_kind_and_replace_none():
    registry = Registry("router", "motet.none", {"chain": "motet.routers.chain:ChainRouter"})
    registry.register("own", int)
    registry.register("own", int)
    assert registry.load("own") is int and registry.names() == ["chain", "own"]
    for name in ("own", "chain"):
        with pytest.raises(ConfigError, match="known already"):
            registry.register(name, str)
