"""The threads of a chat: which of the questions before it the newest turn goes on with.

Each of the user's turns opens a thread, goes on with the newest, or returns to an earlier one. What
says so: how it is worded (`motet.conversation.wording`), words that it shares with a thread, how
close their embeddings are where there are any, and whether it is clear by itself whom it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from motet.conversation.wording import Wording, content, returns, wording

MOST_TURNS = 16
"""The user's newest turns, which are read; what was asked before them is not gone back to."""
_NEAR = 0.3
"""Closeness from which a whole question goes on with a thread: of unrelated ones it is 0 to 0.2."""
_NEAR_LIKELY = 0.2
"""The same for a few words that may be either."""
_APART = 0.25
"""How much closer an earlier thread must be for a part of a question to be of that one."""
_UNTOLD = 0.1
"""Closeness where nothing tells it."""
_SHARED = 0.12
"""What a shared word adds to closeness, and how many count."""
_MOST_SHARED = 2
_PART_ALONE = 6
"""Words from which a turn that is clearly for somebody opens a thread, however it begins."""

Closeness = Callable[[int, int], float]
"""Cosine of the embeddings of two turns, by their numbers."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest turn, and what it goes on with.

    Attributes
    ----------
    head
        Number of the turn that opened its thread; None where it speaks for itself.
    returns
        Whether its thread was left in between.
    """

    head: int | None = None
    returns: bool = False


def newest(
    turns: Sequence[str],
    closeness: Closeness | None = None,
    clear: Sequence[bool] | None = None,
) -> Newest:
    """Return what the newest of a user's turns goes on with.

    Parameters
    ----------
    turns
        What the user said, oldest first, at least one.
    closeness
        How close two turns are; by their words alone when absent.
    clear
        Of each turn, whether it is clear by itself whom it is for; unknown when absent.
    """
    last, threads = len(turns) - 1, _Threads(turns, closeness, clear)
    read = range(max(len(turns) - MOST_TURNS, 0), last)
    for number in read:
        if wording(turns[number]) is not Wording.PLEASANTRY:
            threads.take(number)
    if wording(turns[last]) is Wording.PLEASANTRY:
        return Newest()
    left = threads.heads[-1] if threads.heads else None
    head = threads.take(last)
    return Newest() if head == last else Newest(head, returns=head != left)


class _Threads:
    """Threads so far, by the numbers of the turns that opened them, the one gone on with last."""

    def __init__(
        self, turns: Sequence[str], closeness: Closeness | None, clear: Sequence[bool] | None
    ) -> None:
        self.heads: list[int] = []
        self._turns = turns
        self._closeness = closeness
        self._clear = clear

    def take(self, number: int) -> int:
        """Put a turn into its thread, and return who opened that: it, or one before."""
        head = self._thread_of(number)
        if head in self.heads:
            self.heads.remove(head)
        if head == number and wording(self._turns[number]) is Wording.REMARK:
            self.heads.insert(0, head)  # the question before it is still what is talked about
        else:
            self.heads.append(head)
        return head

    def _thread_of(self, number: int) -> int:
        if not self.heads:
            return number
        text, how = self._turns[number], wording(self._turns[number])
        is_part = how is Wording.PART
        near = {head: self._near(number, head) for head in self.heads}
        best = max(self.heads, key=lambda head: near[head])
        is_clear = self._clear is not None and self._clear[number]
        if is_clear and near[best] < _NEAR and (not is_part or len(text.split()) >= _PART_ALONE):
            return number
        if not is_part:
            enough = _NEAR_LIKELY if how is Wording.LIKELY else _NEAR
            return best if near[best] >= enough and not is_clear else number
        newest = self.heads[-1]
        if best != newest and near[best] - near[newest] >= (0.0 if returns(text) else _APART):
            return best
        return newest

    def _near(self, number: int, head: int) -> float:
        shared = content(self._turns[number]) & content(self._turns[head])
        close = _UNTOLD if self._closeness is None else self._closeness(number, head)
        return close + _SHARED * min(len(shared), _MOST_SHARED)
