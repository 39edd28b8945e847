"""What rules see of a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conditions.asks import ask

from motet.conditions.condition import Condition
from motet.conditions.features import _CODE, FEATURES, _words, mentions
from motet.types import Caller, Past, Request


@pytest.mark.parametrize(
    ("rule", "request_", "holds"),
    [
        ("true", ask(), True),
        ("chars > 3", ask("hello"), True),
        ("chars > 30", ask("hello"), False),
        ("turns == 1 && !stream", ask(), True),
        ("has_code", ask("```python\nx = 1\n```"), True),
        ("has_code", ask("see if this, or that; works"), False),
        ("'python' in fences", ask("```Python\nx\n```"), True),
        ("mentions(['SQL', 'join'])", ask("an sql question"), True),
        ("mentions(['sql'])", ask("mysqld is up"), False),
        ("text.matches('(?i)capital of')", ask("the Capital of France"), True),
        ("language == 'de'", ask("Wie komme ich von hier zum Bahnhof, bitte?"), True),
        ("language == 'en'", ask("How do I get to the station from here, please?"), True),
        ("has_tools && 'f' in tools", ask(tools=({"function": {"name": "f"}},)), True),
        ("has_tools", ask(tools=({"function": {"name": "f"}},), tool_choice="none"), False),
        ("wants_json", ask(response_format={"type": "json_object"}), True),
        ("wants_json", ask(response_format={"type": "text"}), False),
        ("metadata.team == 'x'", ask(metadata={"team": "x"}), True),
        ("metadata.team == 'x'", ask(), False),
        ("tenant == 'acme'", ask(caller=Caller(tenant="acme")), True),
        ("tenant == 'acme'", ask(metadata={"tenant": "acme"}), False),
        ("user == 'u1' || max_tokens > 5", ask(max_tokens=6), True),
        ("tools.exists(t, t.startsWith('get_'))", ask(tools=({"function": {"name": "get_x"}},)), True),
        ("system.contains('terse')", Request(model="m", messages=({"role": "system", "content": "be terse"},)), True),
        ("last == 'b'", Request(model="m", messages=({"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]})), True),
        ("text == 'once upon'", Request(model="m", prompt="once upon"), True),
        ("has_images", Request(model="m", messages=({"role": "user", "content": [{"type": "image_url", "image_url": {}}]},)), True),
    ],
)  # fmt: skip
def test_features(rule, request_, holds):
    assert Condition(rule).holds(request_) is holds


@given(st.text(max_size=300))
def test_every_feature_reads_any_text(text):
    for name, (read, _) in FEATURES.items():
        if name != "language":  # a model of its own, tried above
            read(ask(text))
            read(Request(model="m", prompt=text))


def test_long_text_is_cut():
    assert len(FEATURES["text"][0](ask("x" * 10**6))) < 70_000


def test_lists_and_maps_of_clients_are_cut():
    request = ask(
        tools=tuple({"function": {"name": "n" * 10_000}} for _ in range(1000)),
        metadata={f"{n:04d}" * 1000: "v" * 10_000 for n in range(1, 1000)},
        user="u" * 10_000,
    )
    tools, metadata = FEATURES["tools"][0](request), FEATURES["metadata"][0](request)
    assert len(tools) == len(metadata) == 64
    assert all(len(text) <= 513 for text in (*tools, *metadata, *metadata.values()))
    assert len(FEATURES["user"][0](request)) <= 513


_PIECES = st.lists(
    st.sampled_from(
        ["def ", "import ", "from x import ", ";", "\n", " ", "```", "}", "SELECT ", "sql", "SQL",
         "\u017fql", "join", "a", "é", "#include", "fn "]
    )
).map("".join)  # fmt: skip


@given(text=_PIECES, words=st.lists(st.sampled_from(["sql", "Join", "\u017fql", "é"]), min_size=1))
def test_looking_for_signs_first_changes_no_answer(text, words):
    request = ask(text)
    assert FEATURES["has_code"][0](request) is bool(_CODE.search(text))
    assert mentions(request, words) is bool(_words(tuple(words)).search(text))


AGENT = (
    {"role": "user", "content": "go"},
    {"role": "assistant", "tool_calls": [{"function": {"name": "ls", "arguments": "{}"}}]},
    {"role": "tool", "content": "Error: no such folder"},
    {"role": "assistant", "tool_calls": [{"function": {"name": "ls", "arguments": "{}"}}]},
    {"role": "tool", "content": "Error: no such folder"},
    {"role": "user", "content": "try again"},
)


@pytest.mark.parametrize(
    "rule",
    [
        "user_turns == 2",
        "tool_calls == 2 && tool_errors == 2 && tool_errors_in_a_row == 2",
        "repeated_calls == 1 && stalled_turns == 2",
        "last_expert == 'a' && subagent == 'review'",
        "context_used > 0.5 && context_used < 1.0",
    ],
)
def test_rules_read_the_conversation(rule):
    past = Past(expert="a", context=50)
    request = Request(model="m", messages=AGENT, past=past, subagent="review")
    assert Condition(rule).holds(request)
    assert Condition(rule).remembers == ("last_expert" in rule or "context" in rule)


@pytest.mark.parametrize(
    ("last", "asked"),
    [
        ("and in feet?", "How far is it?\nand in feet?"),
        ("thanks", "thanks"),
        ("Who wrote the Iliad, and when?", "Who wrote the Iliad, and when?"),
    ],
)
def test_rules_read_what_a_follow_up_goes_on_with(last, asked):
    chat = (
        {"role": "user", "content": "How far is it?"},
        {"role": "assistant", "content": "3 metres"},
        {"role": "user", "content": last},
    )
    assert FEATURES["asked"][0](Request(model="m", messages=chat)) == asked


def test_a_new_conversation_has_no_past():
    request = Request(model="m", messages=AGENT[:1])
    rule = "last_expert == '' && context_used == 0.0 && tool_calls == 0 && stalled_turns == 0"
    assert Condition(rule).holds(request)
