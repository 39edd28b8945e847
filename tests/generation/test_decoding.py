"""From logits to text: what is drawn, how it is cut, and where it stops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation.world import answer, ask

from motet.generation.decoding import Detokenizer, StopFilter, pick


async def test_stop_strings_are_never_shown(llama):
    everything = await answer(llama, ask(max_tokens=40))
    full = everything[0][0]
    stop = full[5:8]
    texts, finishes, usage, chunks = await answer(
        llama, ask(max_tokens=40, stop=(stop,), top_logprobs=0)
    )
    assert texts[0] == full[: full.index(stop)]
    assert finishes[0] == "stop"
    assert usage.completion_tokens <= everything[2].completion_tokens
    entries = [entry for c in chunks if c.logprobs for entry in c.logprobs["content"]]
    raw = bytes(byte for entry in entries for byte in entry["bytes"])
    shown = raw.decode("utf-8", errors="replace")
    assert shown.startswith(texts[0]) and stop not in shown


async def test_logprobs(llama):
    *_, chunks = await answer(llama, ask(top_logprobs=3, max_tokens=6))
    entries = [entry for c in chunks if c.logprobs for entry in c.logprobs["content"]]
    assert entries
    for entry in entries:
        assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
        assert len(entry["top_logprobs"]) == 3
        best = entry["top_logprobs"][0]
        assert best["logprob"] == pytest.approx(entry["logprob"])  # greedy
        assert best["bytes"] == entry["bytes"]
        assert sum(math.exp(other["logprob"]) for other in entry["top_logprobs"]) <= 1.0 + 1e-5
    none = await answer(llama, ask(max_tokens=6))
    assert all(chunk.logprobs is None for chunk in none[3])


def byte_decode(tokens):
    return bytes(tokens).decode("utf-8", errors="replace")


@given(st.text(max_size=30), st.text(max_size=5))
def test_pieces_never_end_within_a_character(text, before):
    kept = text.rstrip("\ufffd")
    detokenizer = Detokenizer(byte_decode, before.encode("utf-8"))
    pieces = [detokenizer.push(byte) for byte in text.encode("utf-8")]
    for piece in pieces:
        assert not piece.endswith("\ufffd")
    whole = "".join(pieces) + detokenizer.flush()
    assert whole.rstrip("\ufffd") == kept


def test_half_a_character_at_the_end_is_dropped():
    detokenizer = Detokenizer(byte_decode)
    pieces = [detokenizer.push(byte) for byte in "ok🦊".encode()[:-1]]
    assert "".join(pieces) + detokenizer.flush() == "ok"


@settings(max_examples=300)
@given(
    st.text("abc", max_size=30),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 5), max_size=30),
)
def test_stop_strings_however_the_text_is_cut(text, stops, cuts):
    def run(pieces):
        stop, shown = StopFilter(stops), ""
        for piece in pieces:
            shown += stop.push(piece)
            if stop.stopped:
                return shown, True
        return shown + stop.flush(), False

    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    shown, stopped = run([*pieces, rest])
    assert (shown, stopped) == run(text)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    assert stopped == any(stop in text for stop in stops)
    if not stopped:
        assert shown == text


def test_pick_keeps_to_the_nucleus():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    generator = torch.Generator().manual_seed(0)
    drawn = [pick(logits, 1.0, 0.75, generator) for _ in range(400)]
    assert set(drawn) == {0, 1}
    assert drawn.count(0) / 400 == pytest.approx(0.625, abs=0.1)
    assert {pick(logits, 0.0, 1.0, generator) for _ in range(5)} == {0}
    assert {pick(logits, 1.0, 1.0, generator) for _ in range(400)} == {0, 1, 2, 3}
