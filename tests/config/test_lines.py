"""YAML is read with its lines; what would never end, or not fit, is refused in words."""

import pytest

from motet.config.lines import read_yaml
from motet.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n  b: &b [*b]\n", "c.yaml:2: a.b[0]: an alias here stands for what it is part of."),
        ("a: &a\n  <<: *a\n", "c.yaml:2: a.<<: an alias here stands for what it is part of."),
        ("[" * 100_000, "c.yaml:1: values nest over 64 deep."),
        ("a: 1\nb: " + "{c: " * 90 + "1" + "}" * 90, "c.yaml:2: values nest over 64 deep."),
        ("a:\n\t- b", "c.yaml:2: not valid YAML: found character that cannot start any token. Indent with spaces, never with tabs."),
        ("a: @b", "A text that begins with @ stands in quotes."),
        ("a: *b", "c.yaml:1: not valid YAML: found undefined alias. A text that begins with *"),
        ("a: b: c", "A text that holds ': ' stands in quotes"),
        ("a: 1\n---\nb: 1", "c.yaml:2: not valid YAML: but found another document. One file holds one config"),
        ("a: 'b\n", "A quote that opens here is never closed."),
        ("a: !!python/object:os.system b", "could not determine a constructor"),
        ("a: 0x_", "c.yaml: not valid YAML"),
        ("a: \x00", "control characters are not allowed"),
        ("? [a]\n: b", "c.yaml:1: not valid YAML: found unhashable key"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_line_and_remedy(text, message):
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "c.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize("wide", [9, 10, 40])
def test_aliases_of_aliases_end_at_a_bound(wide):
    lines = [f"a0: &a0 [{', '.join(['x'] * wide)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * wide)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match=r"aliases make more than 200,000 values"):
        read_yaml("\n".join(lines), "c.yaml")


def test_anchors_merges_and_dates_are_read_as_they_are_meant():
    values, lines = read_yaml(
        "base: &b {id: a, day: 2024-01-01}\nall:\n  - {<<: *b, id: c}\n  - *b\n", "c.yaml"
    )
    assert values["all"] == [{"id": "c", "day": "2024-01-01"}, {"id": "a", "day": "2024-01-01"}]
    assert lines[("all", 0, "id")] == 3
