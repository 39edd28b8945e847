"""Our own types survive being kept and sent."""

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet import codec
from motet.types import Call, Caller, Choice, Chunk, Decision, Purpose, Request, Usage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(0, 1, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=2)
REQUESTS = st.builds(
    Request,
    model=TEXT,
    messages=st.lists(OBJECTS, max_size=2).map(tuple),
    prompt=st.none() | TEXT,
    stop=st.lists(TEXT, max_size=2).map(tuple),
    tools=st.lists(OBJECTS, max_size=2).map(tuple),
    tool_choice=JSON,
    temperature=st.none() | FLOATS,
    extra=OBJECTS,
    caller=st.builds(Caller, key=TEXT, tenant=TEXT, models=st.none() | st.frozensets(TEXT)),
    fused=st.lists(TEXT, max_size=2).map(tuple),
)
DECISIONS = st.builds(
    Decision,
    choices=st.lists(
        st.builds(Choice, expert=TEXT, weight=FLOATS, quality=st.none() | FLOATS), min_size=1
    ).map(tuple),
    router=TEXT,
    reason=TEXT,
)
CHUNKS = st.builds(Chunk, text=TEXT, tool_calls=st.lists(OBJECTS, max_size=2).map(tuple))
CALLS = st.builds(
    Call, expert=TEXT, started=FLOATS, usage=st.just(Usage(1, 2)), purpose=st.sampled_from(Purpose)
)


@given(REQUESTS | DECISIONS | CHUNKS | CALLS)
def test_what_is_kept_is_what_was(value):
    assert codec.load(type(value), codec.dump(value)) == value


def test_what_is_no_such_value_is_refused():
    with pytest.raises(pydantic.ValidationError):
        codec.load(Decision, b'{"router": 3}')
