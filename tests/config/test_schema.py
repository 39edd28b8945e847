"""What a config is once it is read: defaults, and who answers for whom."""

import pytest

from motet.config import parse
from motet.errors import ConfigError

MINIMAL = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"


def test_defaults():
    config = parse(MINIMAL).config
    assert (config.service.host, config.service.port) == ("127.0.0.1", 8000)
    assert config.service.limits.deadline_s == 120


FLEET = "version: 1\nexperts: [{id: a, engine: fake}]\n"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{path: s.db, url: 'postgresql://h/d'}", "store: path and url exclude each other"),
        ("{url: 'mysql://h/d'}", "store.url: expected a URL such as postgresql://"),
        ("{url: 'postgresql://u:hunter2@h/d d'}", "store.url: expected a URL"),
        ("{url: 'mysql://u@h/d?password=hunter2'}", "store.url: expected a URL"),
        ("{redact: ['(']}", "store.redact[0]: this is no regular expression"),
        ("{redactor: nobody}", "store.redactor: no redactor 'nobody'"),
        ("{retention: {days: 0}}", "store.retention.days"),
        ("{retention: {size: much}}", "store.retention.size"),
    ],
)
def test_faults_of_the_store_are_named_and_show_no_password(section, said):
    with pytest.raises(ConfigError) as caught:
        parse(f"{FLEET}store: {section}\n")
    assert said in str(caught.value) and "hunter2" not in str(caught.value)


def test_a_store_of_before_is_told_where_it_goes_now():
    with pytest.raises(
        ConfigError, match=r"service.batches: 'store' has moved.*store: {path: FILE}"
    ):
        parse(f"{FLEET}service: {{batches: {{store: b.db}}}}\n")


def test_the_password_of_a_store_is_in_nothing_that_is_shown():
    config = parse(f"{FLEET}store: {{url: 'postgres://u:hunter2@h/d'}}\n").config
    assert config.store.url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in f"{config!r} {config.model_dump()} {config.model_dump_json()}"


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


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{memory: lots}", "residency.memory"),
        ("{memory: 1GiB, policy: best}", "worth"),
        ("{memory: 1GiB, turns: 3}", "turn_s"),
        ("{memory: 1GiB, max_wait_s: 0}", "max_wait_s"),
        ("{policy: lru}", "memory"),
    ],
)
def test_bad_settings_are_named(section, said):
    with pytest.raises(ConfigError, match=said):
        parse(f"version: 1\nexperts: [{{id: a, engine: fake}}]\nresidency: {section}\n")
