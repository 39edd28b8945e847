"""What a config is once it is read: defaults, and who answers for whom."""

from motet.config import parse

MINIMAL = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"


def test_defaults():
    config = parse(MINIMAL).config
    assert (config.service.host, config.service.port) == ("127.0.0.1", 8000)
    assert config.service.limits.deadline_s == 120


def test_who_answers_for_an_expert():
    text = """
version: 1
experts:
  - {id: own, engine: vllm, model: m}
  - {id: lora, engine: vllm, base: own, adapter: x}
"""
    own, lora = parse(text).config.experts
    assert (own.base, own.host) == (None, "own")
    assert (lora.base, lora.host) == ("own", "own")
