"""What makes a batch the same batch after an interruption, and what to say when it is another."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from motet.batch.lease import Lease
from motet.batch.lines import InputFile, Rules
from motet.batch.results import Job
from motet.config import Document
from motet.errors import BatchError
from motet.store.jobs import Jobs

_TELLS_NOTHING = {"description", "license", "optional", "resources"}
"""Fields of an expert that change no answer."""


def facts_of(document: Document, source: InputFile, rules: Rules) -> dict[str, str]:
    """Return what the answers of a batch depend on: a name -> a digest.

    Values stand as they are written, so that no secret of the environment is part of it.
    """
    written = document.written
    facts = {"the input file": source.digest, "--model": rules.model or ""}
    for entry in written["experts"]:
        kept = {name: value for name, value in entry.items() if name not in _TELLS_NOTHING}
        facts[f"experts.{entry['id']}"] = _digest(kept)
    for part in ("routers", "compositions"):
        for name, value in (written.get(part) or {}).items():
            facts[f"{part}.{name}"] = _digest(value)
    facts["service.limits"] = _digest((written.get("service") or {}).get("limits"))
    return facts


async def begin(
    jobs: Jobs, id: str, document: Document, source: InputFile, rules: Rules, *, fresh: bool
) -> Job:
    """Return the job to run: the one in the store, or a new one.

    Parameters
    ----------
    fresh
        Whether to forget what the store holds of it.

    Raises
    ------
    BatchError
        The store's job was of another input or config, which names what differs; or another
        process runs it.
    """
    if fresh and await jobs.facts(id) is not None:
        async with Lease(jobs, id) as held:
            await Jobs(held).forget(id)
    facts = facts_of(document, source, rules)
    known = await jobs.facts(id)
    created = source.modified
    if known is None:
        await jobs.add_job(id, orjson.dumps(facts).decode(), created)
    else:
        text, created = known
        before = orjson.loads(text)
        changed = [n for n in {**before, **facts} if before.get(n) != facts.get(n)]
        if changed:
            raise BatchError(
                f"{jobs.place} holds a batch that was begun otherwise. "
                f"Changed since: {', '.join(changed)}.",
                hint="Put back what changed to go on, or start anew with --fresh.",
            )
    return Job(id, source.digest, created, rules)


def _digest(value: Any) -> str:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()
