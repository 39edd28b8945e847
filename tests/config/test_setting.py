"""Where a part of a config stands, and what it may name."""

from pathlib import Path

import pytest
from tests.asks import setting_of

from motet.config.setting import default_cache, default_state
from motet.errors import ConfigError


def test_default_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("MOTET_CACHE")
    assert default_cache() == Path.home() / ".cache" / "motet"


def test_an_expert_that_does_not_exist_is_located():
    setting = setting_of("solver", "coder")
    assert setting.experts == ("solver", "coder")
    setting.check("coder", "fallback")
    setting.check(None, "fallback")
    with pytest.raises(ConfigError, match="no expert 'codr'. Did you mean 'coder'") as caught:
        setting.check("codr", "fallbacks", 0)
    assert caught.value.at == ("fallbacks", 0)


def test_default_state(monkeypatch, tmp_path):
    monkeypatch.setenv("MOTET_STATE", str(tmp_path))
    assert default_state() == tmp_path
    monkeypatch.delenv("MOTET_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state() == tmp_path / "motet"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_state() == Path.home() / ".local" / "state" / "motet"
