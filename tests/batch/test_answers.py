"""What an expert said to a call, kept and played again."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from motet.batch.answers import Said
from motet.errors import ContextLengthExceeded, ExpertOverloaded, MotetError
from motet.types import Chunk, Usage

CHUNKS = st.builds(
    Chunk,
    index=st.integers(0, 2),
    text=st.text(),
    reasoning=st.text(max_size=3),
    finish=st.sampled_from([None, "stop", "length"]),
    logprobs=st.sampled_from([None, {"content": [{"token": "a", "logprob": -0.5}]}]),
    usage=st.sampled_from([None, Usage(3, 4)]),
)


ERRORS = [
    None,
    ExpertOverloaded("a", "full.", retry_after=2.5),
    ContextLengthExceeded(limit=5, wanted=9, expert="a"),
    MotetError("so", hint="there", param="n"),
]


async def _stream(chunks, error):
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


@given(st.lists(CHUNKS), st.sampled_from(ERRORS))
def test_answers_survive_the_store(chunks, error):
    answer = asyncio.run(Said.of("a", _stream(chunks, error)))
    again = Said.load(answer.dump())
    assert again.chunks == answer.chunks and again.usage == answer.usage
    assert type(again.error) is type(error) and str(again.error) == str(error)
    assert (again.error and again.error.__dict__) == (error and error.__dict__)
    texts = "".join(chunk.text for chunk in chunks if chunk.index == 0)
    assert "".join(chunk.text for chunk in again.chunks if chunk.index == 0) == texts


def test_errors_of_a_plug_in_come_back_as_the_nearest_of_ours():
    class Own(ExpertOverloaded):
        pass

    again = Said.load(Said(error=Own("a", "full.")).dump())
    assert type(again.error) is ExpertOverloaded
