"""What a rule may cost is counted from its text, and never less than it can take."""

import pytest

from motet.conditions.cost import MOST, steps


@pytest.mark.parametrize(
    ("rule", "least", "most"),
    [
        ("chars > turns", 3, 3),
        ("tools.all(x, x != 'q')", 3 * 64, 10 * 64),
        ("tools.all(x, x != 'q') && fences.all(x, x != 'q')", 6 * 64, 20 * 64),
        ("tools.all(x, tools.all(y, x + y != 'q'))", 5 * 64**2, 10 * 64**2),
        ("text.contains('tools.all(x, tools.all(y, tools.all(z, true)))')", 200, 300),
        ("text.contains(\"it's\") || last.contains('a \\' (')", 400, 500),
        ("tools . all ( x , x != 'q' )  // tools.all(y, tools.all(z", 3 * 64, 10 * 64),
        ("tools.filter(x, x != 'q').all(y, y != 'q')", 6 * 64, 20 * 64),
        ("(tools + tools + tools).all(x, x != 'q')", 3 * 3 * 64, 10 * 3 * 66),
        ("tools.all(x, text.matches(x))", 64 * 200, 64 * 300),
    ],
)
def test_steps_are_counted_for_each_item(rule, least, most):
    assert least <= steps(rule) <= most < MOST


@pytest.mark.parametrize(
    "rule",
    [
        "tools.all(x, tools.all(y, tools.all(z, true)))",
        "tools.exists(x, tools.filter(y, fences.map(z, z)).size() > 1)",
        f"({' + '.join(['tools'] * 40)}).all(x, (tools + tools).all(y, x != y))",
        "tools.all(x, tools.all(y, text.contains(x + y)))",
    ],
)
def test_what_multiplies_is_over_the_bound(rule):
    assert steps(rule) > MOST
