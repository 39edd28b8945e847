"""What the applications of a config are given: plain values, each with no more than it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import orjson

from motet.config import Document, ExpertEntry
from motet.experts.build import holds_model
from motet.experts.vllm import ADAPTER_SLOTS


class GraphArgs(TypedDict, total=False):
    """Arguments of the builders: plain values, so that a Serve config can hold them."""

    config: str
    """The text of the config file."""
    name: str
    """Its name, for messages."""
    folder: str
    """Where its relative paths start."""
    host: str
    """For `ingress`: the address it is bound to, which may be another than the file's."""
    open_to_all: bool
    """For `ingress`: whether it may be bound there without keys."""
    expert: str
    """For `pool`: whose."""
    path: str
    """For `ingress`: the file itself, where it is on the same machine."""
    admin_hash: str
    """For `ingress`: the hash of a key that may do everything."""
    swapped: bool
    """For `pool`: whether the swapper says when its engine is loaded."""


def pools_of(document: Document) -> Iterator[tuple[str, ExpertEntry]]:
    """Yield expert id and entry of every pool, in the order of the config."""
    for entry in document.config.served:
        if holds_model(entry):
            yield entry.id, entry


def adapters(document: Document, base: str) -> list[str]:
    """Return the experts that share the engine of `base`."""
    return [entry.id for entry in document.config.experts if entry.base == base]


def ingress_arguments(document: Document, admin_hash: str | None = None) -> GraphArgs:
    """Return the arguments of `ingress` for a config.

    Parameters
    ----------
    admin_hash
        Of the key of whoever starts it on this machine, where its file is too.
    """
    service = document.config.service
    made: GraphArgs = {
        "config": document.text,
        "name": document.name,
        "folder": str(document.folder),
        "host": service.host,
        "open_to_all": service.open_to_all,
    }
    if admin_hash is not None:
        made["admin_hash"] = admin_hash
        made["path"] = str(document.path)
    return made


def pool_arguments(document: Document, expert: str, *, swapped: bool = False) -> GraphArgs:
    """Return the arguments of `pool`: the config less everything but this one expert.

    Serve restarts an application whose arguments change. So a pool must not see the other
    experts: neither a new one nor a new adapter on its own engine is a reason to load a model.
    """
    entry = next(entry for id, entry in _written(document) if id == expert)
    if adapters(document, expert):
        entry = {"adapter_slots": ADAPTER_SLOTS, **entry}
    alone: GraphArgs = {**_with_only(document, [entry]), "expert": expert}
    if swapped:
        alone["swapped"] = True
    return alone


def swapper_arguments(document: Document) -> GraphArgs:
    """Return the arguments of `swapper`: experts that have pools, and how memory is shared."""
    pools = dict(pools_of(document))
    entries = [entry for id, entry in _written(document) if id in pools]
    return _with_only(document, entries, residency=document.written["residency"])


def _written(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each id and its entry as the file has it, `${ENV}` and all."""
    for section, entries in document.config.members.items():
        written = document.written.get(section) or []
        yield from zip((entry.id for entry in entries), written, strict=True)


def _with_only(document: Document, entries: list[dict[str, Any]], **parts: Any) -> GraphArgs:
    """Return the arguments that hold a config of some experts and other parts.

    They are the same whatever the file is called, so that one which was renamed restarts nothing.
    """
    alone = {"version": document.written["version"], "experts": entries, **parts}
    folder = str(document.folder)
    return {"config": orjson.dumps(alone).decode(), "name": "experts.yaml", "folder": folder}
