"""`keys`: every fault of one is told, and none is shown."""

import pytest

from motet.config import parse
from motet.errors import ConfigError

HEAD = "version: 1\nexperts: [{id: a, engine: fake}]\n"
SECRET = "sk-long-and-secret-0123456789"


def test_a_key_has_sane_defaults():
    (key,) = parse(
        HEAD + f"keys: [{{name: ann, key: ' {SECRET}\\n'}}]".replace("'", '"')
    ).config.keys
    assert key.key.get_secret_value() == SECRET and SECRET not in repr(key)
    assert key.scopes == {"chat", "batch", "feedback"} and key.models is None
    assert key.limits.requests_per_minute is None and key.budget is None and key.expires is None


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (f"{{name: x, key: {SECRET}, scopes: [chats]}}", "scopes"),
        (f"{{name: x, key: {SECRET}, limits: {{requests_per_hour: 1}}}}", "requests_per_minute"),
        (f"{{name: x, key: {SECRET}, budget: {{usd: 0}}}}", "usd"),
        (f"{{name: x, key: {SECRET}, expires: '2027-01-31T00:00:00'}}", "needs its zone"),
        ("{name: x, key: ' '}", "let everybody in"),
        (f"{{key: {SECRET}}}", "'name' is required"),
        (f"{{name: x, key: {SECRET}}}, {{name: x, key: other-{SECRET}}}", "stands twice"),
        (f"{{name: x, key: {SECRET}}}, {{name: y, key: {SECRET}}}", "has the same key"),
    ],
)
def test_faults(entry, told):
    with pytest.raises(ConfigError, match=told) as caught:
        parse(HEAD + f"keys: [{entry}]")
    assert SECRET not in str(caught.value)


def test_keys_guard_a_public_address():
    service = "service: {host: 0.0.0.0}\n"
    with pytest.raises(ConfigError, match="no api_keys are set"):
        parse(HEAD + service)
    parse(HEAD + service + f"keys: [{{name: x, key: {SECRET}}}]")
