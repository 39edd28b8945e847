"""Screens: nothing flagged goes out, everything else does, as it was."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.composer.screen import ContentScreen, _parts
from motet.errors import ContentFiltered, RequestError
from motet.types import Chunk, Request, Task, Texts, Usage, Verdict

BAD = "fool"


class Judge:
    """Flags a word, and remembers what it was shown."""

    name = "judge"

    def __init__(self):
        self.seen = []

    async def screen(self, texts, request, calls):
        self.seen.append(list(texts))
        return [Verdict({"rude": float(BAD in text)}) for text in texts]


async def _stream(chunks):
    for chunk in chunks:
        yield chunk


def read(chunks, window=None):
    """Return what goes out, and whether it was flagged."""
    judge = Judge()
    screen = ContentScreen(None, judge, window)
    out = []

    async def run():
        try:
            async for chunk in screen.answer(_stream(chunks), Request(model="m"), None):
                out.append(chunk)
        except ContentFiltered:
            return True
        return False

    return out, asyncio.run(run()), judge


PIECES = st.lists(st.text("fol x", max_size=9), max_size=40)
WINDOW = st.none() | st.integers(4, 60)


@given(PIECES, WINDOW)
def test_nothing_flagged_goes_out_and_all_else_does(pieces, window):
    chunks = [Chunk(text=piece) for piece in pieces] + [Chunk(finish="stop"), Chunk(usage=Usage(1))]
    out, flagged, _ = read(chunks, window)
    said = "".join(chunk.text for chunk in out)
    assert flagged == (BAD in "".join(pieces))
    assert BAD not in said
    if not flagged:
        assert out == chunks
    elif window is None:
        assert out == []


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(reasoning="you fool"),
        Chunk(tool_calls=({"index": 0, "function": {"name": "say", "arguments": '{"x": "fool"}'}},)),
        Chunk(tool_calls=({"index": 0, "custom": {"name": "say", "input": "fool"}},)),
        Chunk(message_extra={"refusal": "fool"}),
        Chunk(index=3, text="fool"),
    ],
)  # fmt: skip
def test_all_that_a_client_reads_is_judged(chunk):
    out, flagged, _ = read([Chunk(text="fine"), chunk])
    assert flagged and out == []


def test_choices_are_judged_apart():
    out, flagged, judge = read([Chunk(text="fo"), Chunk(index=1, text="ol"), Chunk(text="g")])
    assert not flagged and len(out) == 3 and judge.seen == [["fog", "ol"]]


def test_an_answer_without_words_is_not_judged():
    out, flagged, judge = read([Chunk(finish="stop"), Chunk(usage=Usage(1))])
    assert len(out) == 2 and not flagged and judge.seen == []


@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_parts_hide_no_short_text(before, after):
    parts = list(_parts("a" * before + BAD + "b" * after))
    assert any(BAD in part for part in parts)
    assert max(map(len, parts)) <= 4000 and len(parts) <= (before + after) // 3000 + 2


async def test_a_prompt_is_judged_whole():
    judge = Judge()
    screen = ContentScreen(judge, None, None)
    messages = (
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "x"}}]},
    )
    await screen.prompt(Request(model="m", messages=messages), None)
    assert judge.seen[0][:2] == ["be kind", "a"] and "arguments" in judge.seen[0][2]
    with pytest.raises(ContentFiltered, match="The prompt is refused: 'judge' flags it as rude"):
        await screen.prompt(Request(model="m", prompt="you fool"), None)
    with pytest.raises(ContentFiltered):
        tool = {"type": "function", "function": {"name": "x", "description": "fool"}}
        await screen.prompt(Request(model="m", prompt="hi", tools=(tool,)), None)
    with pytest.raises(RequestError, match="token ids cannot be judged"):
        await screen.prompt(Request(model="m", prompt="", prompt_ids=(1, 2)), None)


@pytest.mark.parametrize(
    "said",
    [
        {"content": [{"type": "input_text", "text": BAD}]},
        {"content": [{"type": "refusal", "refusal": BAD}]},
        {"content": [{"type": "text", "text": "a", "title": BAD}]},
        {"content": [{"type": "newer", "parts": [{"words": ["a", BAD]}]}]},
        {"content": "a", "name": BAD},
        {"content": "a", "reasoning_content": BAD},
        {"content": "a", "thinking_blocks": [{"type": "thinking", "thinking": BAD}]},
        {"content": "a", "type": f"a {BAD}"},
        {"content": [{"type": "text", "text": "a"}, {"type": "x", "url": f"data:, {BAD}"}]},
    ],
)
def test_nothing_that_reaches_an_expert_is_passed_over(said):
    request = Request(model="m", messages=({"role": "user", **said},))
    with pytest.raises(ContentFiltered):
        asyncio.run(ContentScreen(Judge(), None, None).prompt(request, None))


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"description": BAD}}},
        {"extra": {"documents": [{"text": BAD}]}},
        {"extra": {"system": BAD}},
        {"native": {"messages": {"container": {"skills": [BAD]}}}},
    ],
)
def test_what_stands_beside_the_messages_is_judged(fields):
    request = Request(model="m", messages=({"role": "user", "content": "a"},), **fields)
    with pytest.raises(ContentFiltered):
        asyncio.run(ContentScreen(Judge(), None, None).prompt(request, None))


def test_data_is_not_read_as_words():
    judge, data = Judge(), "fool" * 100
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]
    request = Request(model="m", messages=({"role": "user", "content": parts},))
    asyncio.run(ContentScreen(judge, None, None).prompt(request, None))
    assert BAD not in str(judge.seen)


def test_token_ids_for_an_encoder_are_refused():
    texts = Texts(task=Task.EMBED, inputs=("a", (1, 2)))
    with pytest.raises(RequestError, match="input: token ids cannot be judged"):
        asyncio.run(
            ContentScreen(Judge(), None, None).prompt(Request(model="m", texts=texts), None)
        )
