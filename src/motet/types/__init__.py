"""The words of Motet as plain frozen data. Nothing here imports a model library.

Life of one request in these words: a `Request` of some `Caller` arrives, a router reads it beside
the `Fleet` and returns a `Decision`, a strategy turns the decision into `Chunk`s, and each expert
call, a router's own included, leaves a `Call` in the trace with its `Usage`.
"""

from motet.types.answer import Chunk, Price, Usage
from motet.types.call import Asks, Call, Purpose
from motet.types.conversation import NEW, Past
from motet.types.decision import Choice, Decision
from motet.types.fleet import READY, ExpertCard, Fleet, Health, Member, State
from motet.types.request import ANYBODY, Caller, Capability, Message, Request, message_texts
from motet.types.span import SpanContext
from motet.types.texts import Task, Texts, Verdict

__all__ = [
    "ANYBODY",
    "NEW",
    "READY",
    "Asks",
    "Call",
    "Caller",
    "Capability",
    "Choice",
    "Chunk",
    "Decision",
    "ExpertCard",
    "Fleet",
    "Health",
    "Member",
    "Message",
    "Past",
    "Price",
    "Purpose",
    "Request",
    "SpanContext",
    "State",
    "Task",
    "Texts",
    "Usage",
    "Verdict",
    "message_texts",
]
