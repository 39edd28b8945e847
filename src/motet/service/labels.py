"""Labels of texts that an ensemble has judged: kept, learned from, followed by every replica."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson

from motet.config import Config
from motet.config.moderation import ModerationEntry
from motet.errors import NotFound, RequestError, StoreError
from motet.moderation.ensembles import losses
from motet.moderation.hedge import Hedge
from motet.service.keeping import Keeper
from motet.service.motet import Motet
from motet.store import moderations
from motet.store.database import Transactions
from motet.store.moderations import ModerationRow, ModerationRows
from motet.wording import did_you_mean

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_TRIES, _WAIT_S = 5, 0.3
"""What was judged a moment ago is on its way to the store."""


class Labels:
    """Has what members say kept, and takes labels of it."""

    def __init__(self, motet: Motet, keeper: Keeper) -> None:
        self._motet = motet
        self._keeper = keeper
        self._rows = ModerationRows(keeper.database)

    def _heard(
        self, id: str, name: str, number: int, scores: Mapping[str, Mapping[str, float]]
    ) -> None:
        said = orjson.dumps(scores).decode()
        row = ModerationRow(id=id, number=number, moderation=name, time=time.time(), scores=said)
        self._keeper.writer.put(moderations.keep, row, len(said) + 200)

    async def label(
        self,
        id: str,
        number: int,
        categories: Mapping[str, bool] | None,
    ) -> dict[str, Any]:
        """Learn what a text is; see `label`."""
        for left in reversed(range(_TRIES)):
            try:
                told = await label(self._rows, self._motet.config, id, number, categories)
                break
            except NotFound:
                if not left:
                    raise
                await asyncio.sleep(_WAIT_S)
        self._motet.parts.ensembles.take(told["moderation"], told["state"])
        return told

    async def follow(self) -> None:
        """Take what other replicas learn, and what was learned before a start."""
        is_told = False
        while True:
            # A new config may have brought ensembles, where there were none.
            self._motet.parts.ensembles.heard = self._heard
            try:
                if self._motet.config.moderations:
                    for name, state in (await self._rows.states()).items():
                        self._motet.parts.ensembles.take(name, state)
                is_told = False
            except StoreError as error:
                if not is_told:
                    log.warning("ensembles weigh by what this process has seen: %s", error)
                is_told = True
            await asyncio.sleep(_LOOK_S)


async def label(
    rows: ModerationRows,
    config: Config,
    id: str,
    number: int,
    categories: Mapping[str, bool] | None,
) -> dict[str, Any]:
    """Learn what a text is that an ensemble has judged.

    Parameters
    ----------
    id, number
        Of the answer, and of the text in it.
    categories
        What is so; None where no category holds.

    Returns
    -------
    dict
        `moderation`, its `state`, and `regret` and `bound` as `report` has them.

    Raises
    ------
    NotFound
        Nothing has judged such a text.
    RequestError
        It has a label, or a category is unknown.
    """

    def learn(name: str, scores: Any, known: Mapping[str, Any] | None) -> dict[str, Any]:
        entry = config.moderations.get(name)
        if entry is None:
            raise RequestError(f"The config has no moderation {name!r} any more.", param="id")
        truth = _truth(entry, categories)
        hedge = hedge_of(entry, known)
        hedge.learn(losses(scores, truth))
        return hedge.json()

    said = {"flagged": False} if categories is None else dict(categories)
    name, state = await rows.label(id, number, said, learn)
    return {"moderation": name, "state": state, **report(config.moderations[name], state)}


def hedge_of(entry: ModerationEntry, known: Mapping[str, Any] | None) -> Hedge:
    """Return the weights of an ensemble, as they were kept where they were."""
    fresh = Hedge.of(entry.members, entry.horizon, entry.eta, entry.share)
    return fresh if known is None else fresh.restored(known)


def report(entry: ModerationEntry, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return weights, what was lost, the regret and its bound, as plain JSON values."""
    hedge = hedge_of(entry, known)
    return {
        "labels": hedge.labels,
        "eta": hedge.eta,
        "share": hedge.share,
        "weights": hedge.weights,
        "losses": hedge.losses,
        "loss": hedge.loss,
        "best": hedge.best,
        "regret": hedge.regret,
        "bound": hedge.bound(),
    }


async def reports(rows: Transactions, config: Config) -> dict[str, dict[str, Any]]:
    """Return the report of every ensemble of a config, from a store."""
    states = await ModerationRows(rows).states()
    return {name: report(entry, states.get(name)) for name, entry in config.moderations.items()}


def _truth(entry: ModerationEntry, categories: Mapping[str, bool] | None) -> dict[str, bool]:
    if categories is None:
        return dict.fromkeys(entry.categories, False)
    for name in categories:
        if name not in entry.categories:
            raise RequestError(
                f"categories: no category {name!r}. {did_you_mean(name, entry.categories)}",
                param="categories",
            )
    return dict(categories)
