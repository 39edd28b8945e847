"""Conversations and answers of every kind, as Hypothesis makes them, in chat's form."""

import json

from hypothesis import strategies as st

from motet.types import Chunk

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAME = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
ARGUMENTS = st.dictionaries(
    NAME, st.one_of(TEXT, st.integers(-9, 9), st.lists(TEXT, max_size=2)), max_size=3
)
IMAGE = st.sampled_from(["https://pictures.example/a.png", "data:image/png;base64,aGk="])


@st.composite
def parts(draw):
    """Return the content of a user: a text, or several parts."""
    if draw(st.booleans()):
        return draw(TEXT)
    some = draw(
        st.lists(st.one_of(TEXT, IMAGE.map(lambda url: {"url": url})), min_size=2, max_size=4)
    )
    return [
        {"type": "text", "text": each}
        if isinstance(each, str)
        else {"type": "image_url", "image_url": each}
        for each in some
    ]


@st.composite
def conversations(draw):
    """Return messages: a system prompt or none, then turns, with tools called and answered."""
    messages = [{"role": "system", "content": draw(TEXT)}] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(parts())})
        for _ in range(draw(st.integers(0, 2))):
            calls = []
            for _ in range(draw(st.integers(1, 3))):
                number += 1
                function = {"name": draw(NAME), "arguments": written(draw(ARGUMENTS))}
                calls.append({"id": f"call_{number}", "type": "function", "function": function})
            said = draw(st.one_of(st.none(), TEXT))
            messages.append({"role": "assistant", "content": said, "tool_calls": calls})
            for call in draw(st.permutations(calls)):
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)})
        messages.append({"role": "assistant", "content": draw(TEXT)})
    if draw(st.booleans()):
        messages.append({"role": "user", "content": draw(parts())})
    return messages


def written(values):
    """Return JSON as Motet writes it."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


@st.composite
def cut(draw, text):
    """Return a text in pieces."""
    pieces, at = [], 0
    while at < len(text):
        step = draw(st.integers(1, len(text) - at))
        pieces.append(text[at : at + step])
        at += step
    return pieces


@st.composite
def answers(draw):
    """Return the chunks of an answer: thoughts, and words and pieces of calls in any order."""
    chunks = []
    for piece in draw(cut(draw(st.one_of(st.just(""), TEXT)))):
        chunks.append(Chunk(reasoning=piece))
    words = draw(cut(draw(st.one_of(st.just(""), TEXT))))
    calls = []
    for index in range(draw(st.integers(0, 3))):
        head = {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": draw(NAME)},
        }
        pieces = draw(cut(written(draw(ARGUMENTS))))
        calls.append(
            [head, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]
        )
    begun = 0
    while any(calls):
        # They begin in order, and then their pieces come as they will.
        queue = draw(
            st.sampled_from([call for at, call in enumerate(calls) if call and at <= begun])
        )
        begun += queue is calls[begun] if begun < len(calls) else 0
        beside = {}
        if draw(st.booleans()):
            beside["logprobs"] = {"content": [{"token": "a", "logprob": -1.0, "bytes": None}]}
        if words and draw(st.booleans()):
            beside["text"] = words.pop(0)
        chunks.append(Chunk(tool_calls=(queue.pop(0),), **beside))
        if words and draw(st.booleans()):
            chunks.append(Chunk(text=words.pop(0)))
    chunks += [Chunk(text=piece) for piece in words]
    finish = (
        "tool_calls"
        if any(chunk.tool_calls for chunk in chunks)
        else draw(st.sampled_from(["stop", "length"]))
    )
    return [*chunks, Chunk(finish=finish)]
