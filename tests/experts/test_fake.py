"""The scripted expert does what its script says."""

from pathlib import Path

import pytest

from motet.config import ExpertEntry
from motet.errors import ContextLengthExceeded, ExpertError, ExpertOverloaded
from motet.experts.build import build
from motet.types import Chunk, Request, State, Usage
from motet.weights import Setting


def fake(**options):
    return build(ExpertEntry(id="a", engine="fake", **options), Setting(Path(), Path()))


async def played(expert, prompt="one two three", **fields):
    request = Request(model="a", prompt=prompt, **fields)
    return [chunk async for chunk in expert.stream(request)]


async def test_without_a_script_it_says_the_prompt_word_by_word():
    chunks = await played(fake())
    assert [chunk.text for chunk in chunks[:3]] == ["one ", "two ", "three"]
    assert chunks[3:] == [Chunk(finish="stop"), Chunk(usage=Usage(3, 3))]


async def test_max_tokens_end_it_early_and_every_choice_says_the_same():
    chunks = await played(fake(tokens=["x", "y"]), max_tokens=1, n=2)
    assert [(chunk.index, chunk.text) for chunk in chunks[:2]] == [(0, "x"), (1, "x")]
    assert [chunk.finish for chunk in chunks[2:4]] == ["length", "length"]
    assert chunks[4].usage == Usage(3, 2)


async def test_it_fails_after_so_many_tokens():
    expert = fake(tokens=["x", "y"], fail_after=1, error="overloaded")
    said = []
    with pytest.raises(ExpertOverloaded) as caught:
        async for chunk in expert.stream(Request(model="a", prompt="p")):
            said.append(chunk.text)
            assert expert.open == 1
    assert said == ["x"] and caught.value.retry_after and expert.open == 0
    with pytest.raises(ExpertError, match="scripted"):
        await played(fake(fail_after=0))


async def test_what_does_not_fit_is_refused_with_both_numbers():
    with pytest.raises(ContextLengthExceeded) as caught:
        await played(fake(context=4), max_tokens=2)
    assert (caught.value.limit, caught.value.wanted) == (4, 5)


async def test_its_health_is_scripted_too():
    late = fake(ready_after_s=60)
    await late.start()
    assert (await late.health()).state is State.STARTING
    ready = fake()
    await ready.start()
    assert (await ready.health()).ready
    down = await fake(down="gone fishing").health()
    assert (down.state, down.reason) == (State.DOWN, "gone fishing")
