"""From logits to text: sampling, log-probabilities, incremental decoding and stop strings."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NUCLEUS = 1024
_CONTEXT = 4
"""Tokens of the prompt that decoding the answer looks back on."""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def pick(logits: Any, temperature: float, top_p: float, generator: Any) -> int:
    """Return a token drawn from one row of logits.

    Parameters
    ----------
    logits
        Float32 tensor of shape (vocabulary,).
    temperature
        0 takes the likeliest token.
    top_p
        Draw only among the likeliest tokens that together reach this probability.
    generator
        The row's own `torch.Generator` on the CPU, so that rows do not disturb each other.
    """
    import torch

    # So cold that only the likeliest has a chance, and no division by 0.
    if temperature < 1e-5:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / temperature, dim=-1)
    tokens = None
    if top_p < 1.0:
        probabilities, tokens = _nucleus(probabilities, top_p)
    # In double: float32 would round the sum of a whole vocabulary's unlikely tokens.
    cumulative = probabilities.double().cumsum(0)
    point = torch.rand((), generator=generator, dtype=torch.float64) * cumulative[-1].cpu()
    index = int(torch.searchsorted(cumulative, point.to(cumulative.device), right=True))
    # The point may round up to the whole sum, behind the last token.
    index = min(index, len(cumulative) - 1)
    return index if tokens is None else int(tokens[index])


def _nucleus(probabilities: Any, top_p: float) -> tuple[Any, Any]:
    """Return the largest probabilities up to the one that reaches `top_p`, and their tokens."""
    import torch

    # Sorting a whole vocabulary costs milliseconds a token; the nucleus is nearly always small.
    for size in (min(_NUCLEUS, len(probabilities)), len(probabilities)):
        values, tokens = torch.topk(probabilities, size)
        cumulative = values.cumsum(0)
        if cumulative[-1] >= top_p:
            break
    kept = int((cumulative < top_p).sum()) + 1
    return values[:kept], tokens[:kept]


class Vocabulary:
    """What the tokens of a model stand for.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._bytes: dict[str, int] = {}
        if "ByteLevel" in str(getattr(backend, "decoder", "")):
            self._bytes = {character: byte for byte, character in bytes_to_unicode().items()}

    def decode(self, tokens: list[int]) -> str:
        """Return the text of `tokens` without special ones."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes that one token stands for, half a character perhaps."""
        piece = str(self._tokenizer.convert_ids_to_tokens(token))
        if token not in self._special:
            if self._bytes and all(character in self._bytes for character in piece):
                return bytes(self._bytes[character] for character in piece)
            if match := _BYTE.fullmatch(piece):
                return bytes([int(match[1], 16)])
        return piece.replace("\u2581", " ").encode()

    def logprobs(self, logits: Any, token: int, alternatives: int) -> dict[str, Any]:
        """Return OpenAI's log-probability entry for `token`, drawn from float32 `logits`.

        The distribution is the model's own, before temperature and top_p.
        """
        import torch

        values = torch.log_softmax(logits, dim=-1)
        top = torch.topk(values, alternatives)
        entry = self._entry(token, float(values[token]))
        entry["top_logprobs"] = [
            self._entry(other, value)
            for other, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        return entry

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        raw = self.bytes_of(token)
        return {
            "token": raw.decode("utf-8", errors="replace"),
            "logprob": max(logprob, -9999.0),  # JSON has no minus infinity
            "bytes": list(raw),
        }


class Detokenizer:
    """Text of a growing list of tokens, in pieces that never end within a character.

    Parameters
    ----------
    decode
        Gives the text of a list of tokens.
    before
        The last tokens of the prompt: some tokenizers drop a space at the very beginning only.
    """

    def __init__(self, decode: Callable[[list[int]], str], before: Iterable[int] = ()) -> None:
        self._decode = decode
        self._tokens = list(before)
        # Everything up to `_read` has been given out; decoding restarts a little before it.
        self._start, self._read = 0, len(self._tokens)

    def push(self, token: int) -> str:
        """Return the text that `token` completes; it may be empty."""
        self._tokens.append(token)
        text = self._pending()
        if not text or text.endswith(_REPLACEMENT):
            return ""
        # What comes next is decoded behind the last piece: the space before a word, and how
        # tokens join, depend on what stands before.
        self._start, self._read = self._read, len(self._tokens)
        return text

    def flush(self) -> str:
        """Return what is still held, without half a character at its end."""
        text = self._pending().rstrip(_REPLACEMENT)
        self._start = self._read = len(self._tokens)
        return text

    def _pending(self) -> str:
        given = self._decode(self._tokens[self._start : self._read])
        return self._decode(self._tokens[self._start :])[len(given) :]


class StopFilter:
    """Text up to the first stop string, which may be spread over several pieces.

    What could be the beginning of a stop string is held until more is known. How the text is cut
    into pieces makes no difference.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """Return the text that may be shown; sets `stopped` when a stop string is complete."""
        text = self._held + piece
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)[1]]
        # Shown once it can no longer become a stop string.
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return what is held, when no more text comes."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that `stop` begins with."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the tokens of one request are drawn, and when they end.

    Attributes
    ----------
    max_tokens
        Most tokens to generate, at least 1.
    top_logprobs
        Alternatives per token; None when no log-probabilities are wanted.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None


def candidates(
    vocabulary: Vocabulary,
    ends: frozenset[int],
    sampling: Sampling,
    prompt: Sequence[int],
    count: int,
) -> list[Candidate]:
    """Return the answers to be generated behind one prompt, by their index."""
    before = prompt[-_CONTEXT:]
    return [Candidate(vocabulary, ends, sampling, index, before) for index in range(count)]


class Candidate:
    """One answer being generated.

    Parameters
    ----------
    vocabulary
        The model's tokens.
    ends
        Tokens that end an answer.
    sampling
        How to draw.
    index
        Which of the request's answers this is; it moves the seed.
    before
        The last tokens of the prompt.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        ends: frozenset[int],
        sampling: Sampling,
        index: int = 0,
        before: Iterable[int] = (),
    ) -> None:
        import torch

        self.index = index
        self.token = -1
        self.generated = 0
        self.finish: str | None = None
        self._vocabulary = vocabulary
        self._ends = ends
        self._sampling = sampling
        self._detokenizer = Detokenizer(vocabulary.decode, before)
        self._stop = StopFilter(sampling.stop)
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed((sampling.seed + index) % 2**63)
        # Log-probabilities wait for the text of their token; each with where that text begins.
        self._entries: deque[tuple[int, dict[str, Any]]] = deque()
        self._decoded = self._shown = 0

    def advance(self, logits: Any) -> tuple[str, Mapping[str, Any] | None]:
        """Draw the next token; return new text and log-probabilities, and set `finish` at the end.

        Parameters
        ----------
        logits
            Float32 tensor of shape (vocabulary,).
        """
        sampling = self._sampling
        self.token = pick(logits, sampling.temperature, sampling.top_p, self._generator)
        self.generated += 1
        if self.token in self._ends:
            self.finish = "stop"
            text = self._stop.push(self._detokenizer.flush())
        else:
            if sampling.top_logprobs is not None:
                entry = self._vocabulary.logprobs(logits, self.token, sampling.top_logprobs)
                self._entries.append((self._decoded, entry))
            piece = self._detokenizer.push(self.token)
            if self.generated >= sampling.max_tokens:
                self.finish = "length"
                piece += self._detokenizer.flush()
            self._decoded += len(piece)
            text = self._stop.push(piece)
        if self._stop.stopped:
            self.finish = "stop"
        elif self.finish:
            text += self._stop.flush()
        self._shown += len(text)
        return text, self._released()

    def _released(self) -> Mapping[str, Any] | None:
        """Return the log-probabilities of the tokens whose text is shown by now."""
        if self._sampling.top_logprobs is None:
            return None
        # Text behind a stop string is not shown, so neither are its tokens.
        everything = self.finish is not None and not self._stop.stopped
        content = []
        while self._entries and (everything or self._entries[0][0] < self._shown):
            content.append(self._entries.popleft()[1])
        return {"content": content} if content else None
