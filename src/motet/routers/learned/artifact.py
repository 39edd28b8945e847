"""A trained router: fitted on a table, kept in a folder, asked for estimates and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import ArtifactError, ConfigError, TableError
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.costs import CostModel
from motet.routers.learned.decide import Ranking, Terms, rank
from motet.routers.learned.part import empty
from motet.routers.learned.prepare import record
from motet.routers.learned.store import (
    ExpertRecord,
    Manifest,
    read_manifest,
    read_state,
    write,
)
from motet.tables.routing import Table, fingerprints
from motet.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]

_COSTS = "motet.costs."
_SEEN = "motet.seen"


@dataclass(frozen=True, eq=False)
class Artifact:
    """An estimator, what it was made of, and the costs of its experts.

    Attributes
    ----------
    manifest
        What `router.json` says.
    costs
        None when the table had none.
    seen
        `[rows]` fingerprints of the queries that were learned from; None when there were none.
    """

    manifest: Manifest
    estimator: Estimator
    costs: CostModel | None = None
    seen: NDArray[np.uint64] | None = None

    @property
    def kind(self) -> str:
        """The kind of the estimator."""
        return self.manifest.kind

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the table that was learned from."""
        return self.manifest.names

    @property
    def has_costs(self) -> bool:
        """Whether estimates carry costs."""
        return self.manifest.scale is not None

    @property
    def latency(self) -> Floats:
        """`[experts]` mean seconds an answer; NaN where unknown."""
        import numpy as np

        seconds = [expert.latency_s for expert in self.manifest.experts]
        return np.array([np.nan if s is None else s for s in seconds], np.float32)

    @classmethod
    def load(cls, folder: str | Path) -> Artifact:
        """Return the artifact in a folder.

        Raises
        ------
        ArtifactError
            It is absent, damaged, of another format or of another version of its kind.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        estimator = _estimator_of(manifest)
        state = read_state(folder, manifest)
        seen = state.pop(_SEEN, None)
        costs = {n.removeprefix(_COSTS): a for n, a in state.items() if n.startswith(_COSTS)}
        columns = _names_of_columns(manifest)
        try:
            estimator.restore(
                {name: a for name, a in state.items() if not name.startswith(_COSTS)}, columns
            )
        except KeyError as error:
            raise ArtifactError(
                f"Artifact {folder} is damaged: it holds no array {error}.",
                hint="Train again: motet router train.",
            ) from error
        return cls(manifest, estimator, CostModel.restore(costs) if costs else None, seen)

    def save(self, folder: str | Path) -> None:
        """Write to a folder, whole or not at all; an artifact that is there is replaced.

        Raises
        ------
        ArtifactError
            Something else stands there, or it cannot be written.
        """
        state = dict(self.estimator.state())
        if self.costs is not None:
            state |= {_COSTS + name: array for name, array in self.costs.state().items()}
        if self.seen is not None:
            state[_SEEN] = self.seen
        write(Path(folder), self.manifest, state)

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise `ArtifactError` unless `encoder` is the one that was learned with."""
        known = self.manifest.encoder
        if known is not None and known.digest != encoder.digest:
            raise ArtifactError(
                f"The router was trained on vectors of {known.name!r} ({known.digest[:12]}), and "
                f"{encoder.name!r} ({encoder.digest[:12]}) is another encoder.",
                hint="Use the encoder it was trained with, or train again.",
            )

    def estimate(self, queries: Queries) -> Estimate:
        """Return what to expect of every expert, in the order of `experts`.

        Raises
        ------
        TableError
            The queries lack what this kind needs.
        """
        import numpy as np

        self._check_width(queries)
        estimate = self.estimator.predict(queries)
        cost = estimate.cost
        if self.costs is not None and cost is None:
            cost = self.costs.predict(queries.texts, len(queries))
        columns = [e.column for e in self.manifest.experts if e.column is not None]
        if len(columns) == len(self.experts):
            quality, error = estimate.quality[:, columns], estimate.error[:, columns]
            cost = None if cost is None else cost[:, columns]
        else:
            quality, error, cost = self._spread(estimate, cost)
        return Estimate(quality=np.clip(quality, 0, 1), error=error, cost=cost)

    def decide(
        self,
        estimate: Estimate,
        terms: Terms | None = None,
        *,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Ranking:
        """Return the experts of each query, best first; see `rank`.

        `terms` are by default those that the artifact was calibrated to.
        """
        terms = terms or self.terms
        return rank(estimate, self.experts, terms, latency=self.latency, allowed=allowed)

    @property
    def terms(self) -> Terms:
        """What the artifact was calibrated to; lambda 0 unless it was."""
        manifest = self.manifest
        return Terms(lam=manifest.lam, scale=manifest.scale or 1.0, charged=manifest.charged)

    def with_terms(self, terms: Terms) -> Artifact:
        """Return this artifact calibrated to the lambda of `terms`."""
        update = {"lam": terms.lam, "charged": terms.charged}
        return replace(self, manifest=self.manifest.model_copy(update=update))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Return what led to the estimate of one query, as plain JSON values."""
        if len(queries) != 1:
            raise ValueError(f"one query is explained at a time, not {len(queries)}")
        self._check_width(queries)
        columns = {e.name: e.column for e in self.manifest.experts if e.column is not None}
        evidence = {"kind": self.kind, **_by_expert(self.estimator.explain(queries), columns)}
        unknown = [e.name for e in self.manifest.experts if e.column is None and not e.like]
        return {**evidence, "without_data": unknown} if unknown else evidence

    def add(
        self,
        expert: str,
        table: Table | None = None,
        embeddings: Floats | None = None,
        *,
        like: Mapping[str, float] | None = None,
    ) -> Artifact:
        """Return an artifact that knows one more expert; the others stay as they are.

        Parameters
        ----------
        expert
            A name that the artifact does not know.
        table
            That expert's answers, on any queries. None adds it without data: it is never chosen,
            unless `like` says what stands for it.
        embeddings
            `[rows, width]` of the table's queries.
        like
            Known experts with weights, whose estimates are mixed until it has data; see
            `motet.routers.learned.coldstart`.

        Raises
        ------
        ArtifactError
            The kind cannot, or the name is known.
        TableError
            The table lacks the expert, or costs that the others have.
        """
        if expert in self.experts:
            raise ArtifactError(f"The artifact knows an expert {expert!r} already.")
        for name in like or {}:
            if name not in self.experts:
                raise ArtifactError(
                    f"No expert {name!r} to be like.", hint=did_you_mean(name, self.experts)
                )
        if table is None:
            joined = ExpertRecord(name=expert, column=None, like=dict(like or {}))
            return replace(self, manifest=self._with_experts([*self.manifest.experts, joined]))
        table = table.of([expert])
        if self.has_costs and table.costs is None:
            raise TableError(f"{table.name} lacks 'cost:{expert}'; the other experts have costs.")
        copy = self._copy()
        queries = Queries(embeddings=embeddings, texts=table.queries, tasks=table.tasks)
        copy.estimator.add(queries, table, self.manifest.seed)
        joined = ExpertRecord(
            name=expert,
            column=len(_names_of_columns(self.manifest)),
            latency_s=None if table.latencies is None else float(table.latencies.mean()),
            added=record(table),
        )
        costs = None if copy.costs is None else copy.costs.add(CostModel.fit(table))
        experts = [*self.manifest.experts, joined]
        seen = _union(self.seen, table)
        return Artifact(self._with_experts(experts), copy.estimator, costs, seen)

    def remove(self, expert: str) -> Artifact:
        """Return an artifact that does not know `expert`; the others stay as they are.

        Raises
        ------
        ArtifactError
            The kind cannot, there is no such expert, or it is the last.
        """
        if expert not in self.experts:
            raise ArtifactError(f"No expert {expert!r}.", hint=did_you_mean(expert, self.experts))
        gone = self.manifest.experts[self.experts.index(expert)].column
        left = [e for e in self.manifest.experts if e.name != expert]
        needy = [e.name for e in left if expert in e.like]
        if needy:
            raise ArtifactError(f"{needy[0]!r} is judged by {expert!r}; remove it first.")
        if all(e.column is None for e in left):
            raise ArtifactError(f"{expert!r} is the last expert that the artifact has data of.")
        if gone is None or any(e.column == gone for e in left):
            return replace(self, manifest=self._with_experts(left))
        copy = self._copy()
        copy.estimator.remove(gone)
        shifted = [
            e.model_copy(update={"column": e.column - 1})
            if e.column is not None and e.column > gone
            else e
            for e in left
        ]
        costs = None if copy.costs is None else copy.costs.remove(gone)
        return Artifact(self._with_experts(shifted), copy.estimator, costs, self.seen)

    def _with_experts(self, experts: list[ExpertRecord]) -> Manifest:
        return self.manifest.model_copy(update={"experts": experts})

    def _copy(self) -> Artifact:
        estimator = _estimator_of(self.manifest)
        state = {name: array.copy() for name, array in self.estimator.state().items()}
        estimator.restore(state, _names_of_columns(self.manifest))
        return replace(self, estimator=estimator)

    def _check_width(self, queries: Queries) -> None:
        known = self.manifest.encoder
        vectors = queries.embeddings
        if known is not None and vectors is not None and vectors.shape[1] != known.width:
            raise ArtifactError(
                f"The router was trained on vectors of {known.width} numbers of {known.name!r}, "
                f"and these have {vectors.shape[1]}.",
                hint="Encode with the encoder it was trained with.",
            )

    def _spread(
        self, estimate: Estimate, cost: Floats | None
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return quality, error and cost by expert where some have no column of their own."""
        import numpy as np

        shape = (len(estimate.quality), len(self.experts))
        quality, error = (np.full(shape, np.nan, np.float32) for _ in range(2))
        usd = None if cost is None else np.full(shape, np.nan, np.float32)
        place = {expert.name: number for number, expert in enumerate(self.manifest.experts)}
        for number, expert in enumerate(self.manifest.experts):
            if expert.column is not None:
                quality[:, number] = estimate.quality[:, expert.column]
                error[:, number] = estimate.error[:, expert.column]
                if usd is not None and cost is not None:
                    usd[:, number] = cost[:, expert.column]
        for number, expert in enumerate(self.manifest.experts):
            if expert.like:
                like = [place[name] for name in expert.like]
                weights = np.array(list(expert.like.values()), np.float32)
                weights /= weights.sum()
                quality[:, number] = quality[:, like] @ weights
                spread = (quality[:, like] - quality[:, [number]]) ** 2 + error[:, like] ** 2
                error[:, number] = np.sqrt(spread @ weights)
                if usd is not None:
                    usd[:, number] = usd[:, like] @ weights
        return quality, error, usd


def _estimator_of(manifest: Manifest) -> Estimator:
    """Return an empty estimator of an artifact's kind and options."""
    try:
        estimator = empty(manifest.kind, manifest.options)
    except ConfigError as error:
        raise ArtifactError(
            f"The artifact does not fit this Motet: {error}", hint="Train again."
        ) from error
    if estimator.version != manifest.version:
        raise ArtifactError(
            f"The artifact is stale: it was trained by version {manifest.version} of "
            f"{manifest.kind!r}, and this is version {estimator.version}.",
            hint="Train again: motet router train.",
        )
    return estimator


def _names_of_columns(manifest: Manifest) -> tuple[str, ...]:
    """Return the name that stands for each column of the estimator."""
    names: dict[int, str] = {}
    for expert in manifest.experts:
        if expert.column is not None:
            names.setdefault(expert.column, expert.name)
    return tuple(names[column] for column in sorted(names))


def _by_expert(told: Any, columns: Mapping[str, int]) -> Any:
    """Return an explanation whose lists `by_column` have become mappings by expert."""
    if isinstance(told, list):
        return [_by_expert(part, columns) for part in told]
    if not isinstance(told, dict):
        return told
    named = {key: _by_expert(part, columns) for key, part in told.items() if key != "by_column"}
    for what, numbers in told.get("by_column", {}).items():
        named[what] = {name: numbers[column] for name, column in columns.items()}
    return named


def _union(seen: NDArray[np.uint64] | None, table: Table) -> NDArray[np.uint64] | None:
    """Return what was seen and the queries of another table."""
    import numpy as np

    more = fingerprints(table)
    if seen is None or more is None:
        return more if seen is None else seen
    return np.union1d(seen, more)
