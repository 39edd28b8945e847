"""Two steps: which category a query belongs to, then which expert that category is mapped to.

Composition of Experts (arXiv 2412.01868). MoDEM (arXiv 2410.07490) is the case of a few fixed
domains, each a list of tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options
from motet.errors import ArtifactError, TableError
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.classify import Classifier
from motet.routers.learned.kinds.category_map import best_map, joined, steadied
from motet.routers.learned.propagate import propagate
from motet.tables.routing import Table
from motet.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERAL = "general"
_CLASSIFIER = "classifier."


class CategoriesConfig(Options):
    """Hyperparameters of `categories`."""

    domains: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Categories as lists of tasks (`*` stands for any letters); each task is one when empty.
    Tasks in no list belong to `general`."""
    sizes: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Parameters of each expert, in any one unit."""
    budget: PositiveFloat | None = None
    """Most parameters that all experts of the map may have together."""
    active_budget: PositiveFloat | None = None
    """Most parameters that the answering expert may have, on average over queries."""
    prior_rows: NonNegativeFloat = 40.0
    """Rows that the mean of a category's family (equal first word) counts for within it."""
    max_entropy: float = Field(default=0.9, ge=0, le=1)
    """Above this entropy of its category, as a share of the highest, a query is `general`."""
    neighbours: PositiveInt = 10
    """Labelled queries that vote on the category of one whose `task` is empty."""


class Categories(Estimator):
    """Expects of each expert its mean scores in the query's category.

    Where the table has queries, the category is classified; where it has scores alone, it is the
    `task` that comes with the query. Experts that the budgets leave out are never chosen.
    """

    Config = CategoriesConfig
    options: CategoriesConfig
    needs: frozenset[Need] = frozenset()
    uses: ClassVar[frozenset[Need]] = frozenset({"embeddings"})
    names_experts: bool = True

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Label, classify, and map."""
        import numpy as np

        if queries.embeddings is not None:
            self.needs = frozenset({"embeddings"})
        labels, names = self._labels(table)
        if queries.embeddings is not None:
            empty = np.array([not task for task in table.tasks])
            bound, votes = self.options.max_entropy, self.options.neighbours
            labels = propagate(queries.embeddings, labels, empty, votes, bound)
        self.learned = _packed(names)
        known = np.flatnonzero(labels >= 0)
        classified = queries.texts is not None or queries.embeddings is not None
        if classified and len(names) > 1 and len(np.unique(labels[known])) > 1:
            classifier = Classifier.fit(queries.take(known), labels[known], len(names), seed)
            self.learned |= {_CLASSIFIER + n: array for n, array in classifier.state.items()}
        self._map(labels, names, table)

    def predict(self, queries: Queries) -> Estimate:
        """Mix the categories that the query may belong to, or look its task up."""
        import numpy as np

        chances = self._chances(queries)
        quality = chances @ self.learned["quality"]
        error = np.sqrt(chances**2 @ self.learned["error"] ** 2)
        if self.options.active_budget is not None:
            # The budget holds for the mapped expert alone: nobody stands in for it.
            mapped = self.learned["map"][chances.argmax(axis=1)]
            others = np.arange(quality.shape[1]) != mapped[:, None]
            quality = np.where(others, np.nan, quality)
        quality = np.where(self.learned["built"], quality, np.nan)
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the likely categories."""
        chances = self._chances(queries)[0]
        names = self._names()
        likely = [int(number) for number in chances.argsort()[::-1][:3] if chances[number] > 0.01]
        categories = {names[number]: round(float(chances[number]), 4) for number in likely}
        first, chance = next(iter(categories.items()))
        return {"categories": categories, "reason": f"category {first!r} ({chance:.2f})"}

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over map and classifier."""
        super().restore(state, experts)
        if _CLASSIFIER + "vectors" in state:
            self.needs = frozenset({"embeddings"})

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Take the new expert's means in the categories that are here, steadied as theirs were.

        Raises
        ------
        ArtifactError
            There is a budget: who is within it is decided for all experts at once.
        """
        import numpy as np

        if self.options.budget is not None or self.options.active_budget is not None:
            raise ArtifactError(
                "An expert cannot join a map that keeps to a budget.",
                hint="Train again with every expert.",
            )
        shares = self._shares(queries, table)
        scores = table.scores[:, 0].astype(np.float64)
        level = self.learned["quality"].mean(axis=1)
        rows, sums, squares = shares.sum(axis=0), scores @ shares, scores**2 @ shares
        rows[-1], sums[-1], squares[-1] = len(scores), scores.sum(), (scores**2).sum()
        count = rows.clip(1e-9)
        families = _families(self._names())
        prior = self.options.prior_rows
        quality = joined(sums / count, rows, level, families, prior)
        variance = (squares / count - (sums / count) ** 2).clip(0)
        error = np.sqrt((variance + 1 / (rows + 2)) / rows.clip(1))
        self.append(quality=quality[:, None], error=error[:, None], built=np.array([True]))

    def remove(self, column: int) -> None:
        """Drop an expert's means; the map is not solved again."""
        import numpy as np

        self.drop(column, "quality", "error", "built")
        mapped = self.learned["map"]
        self.learned["map"] = np.where(mapped > column, mapped - 1, mapped)

    def _labels(self, table: Table) -> tuple[NDArray[np.intp], list[str]]:
        """Return each row's category, -1 for `general`, and the names of the categories."""
        import numpy as np

        if not self.options.domains:
            names = sorted({task for task in table.tasks if task} - {GENERAL})
            of = {name: number for number, name in enumerate(names)}
        else:
            names = sorted(set(self.options.domains) - {GENERAL})
            of = {
                task: number
                for task in set(table.tasks)
                for number, name in enumerate(names)
                if any(fnmatchcase(task, pattern) for pattern in self.options.domains[name])
            }
        labels = np.array([of.get(task, -1) for task in table.tasks], np.intp)
        if not names or (labels < 0).all():
            raise TableError(
                f"{table.name} labels no row with a category.",
                hint="'categories' needs a 'task' column, and 'domains' that name its tasks.",
            )
        return labels, names

    def _map(self, labels: NDArray[np.intp], names: list[str], table: Table) -> None:
        """Learn `[categories + 1, experts]` means, the last for `general`, and solve the map."""
        import numpy as np

        scores = table.scores.astype(np.float64)
        sums, squares = np.zeros((2, len(names) + 1, scores.shape[1]))
        np.add.at(sums, labels, scores)
        np.add.at(squares, labels, scores**2)
        rows = np.bincount(np.where(labels < 0, len(names), labels), minlength=len(names) + 1)
        # What may be anything is expected to be like everything.
        sums[-1], squares[-1] = scores.sum(axis=0), (scores**2).sum(axis=0)
        share = rows / rows.sum()
        rows[-1] = len(scores)
        used = rows > 0
        families = _families([*names, GENERAL])
        quality = np.tile(scores.mean(axis=0), (len(rows), 1))
        quality[used] = steadied(sums[used], rows[used], families[used], self.options.prior_rows)
        count = rows[:, None].clip(1)
        variance = (squares / count - (sums / count) ** 2).clip(0)
        mapped, built = best_map(
            quality,
            share,
            self._sizes(table.experts),
            budget=self.options.budget,
            active_budget=self.options.active_budget,
        )
        if self.options.budget is None and self.options.active_budget is None:
            built = np.ones_like(built)
        self.learned |= {
            "quality": quality,
            "error": np.sqrt((variance + 1 / (count + 2)) / count),
            "map": mapped,
            "built": built,
        }

    def _sizes(self, experts: tuple[str, ...]) -> NDArray[Any] | None:
        import numpy as np

        if self.options.budget is None and self.options.active_budget is None:
            return None
        for expert in experts:
            if expert not in self.options.sizes:
                raise TableError(
                    f"A budget needs the size of every expert, and {expert!r} has none.",
                    hint=did_you_mean(expert, self.options.sizes) if self.options.sizes else "",
                )
        return np.array([self.options.sizes[expert] for expert in experts])

    def _shares(self, queries: Queries, table: Table) -> NDArray[np.float64]:
        """Return `[queries, categories + 1]`: the category of each task, likely ones without."""
        import numpy as np

        shares = self._chances(queries)
        of = {name: number for number, name in enumerate(self._names())}
        for row, task in enumerate(table.tasks):
            number = of.get(self._category(task))
            if number is not None:
                shares[row] = np.arange(len(of)) == number
        return shares

    def _chances(self, queries: Queries) -> NDArray[np.float64]:
        """Return `[queries, categories + 1]`; uncertain ones are `general`."""
        import numpy as np

        names = self._names()
        prefix = len(_CLASSIFIER)
        state = {n[prefix:]: a for n, a in self.learned.items() if n.startswith(_CLASSIFIER)}
        chances = np.zeros((len(queries), len(names)))
        if not state:
            of = {name: number for number, name in enumerate(names[:-1])}
            tasks = queries.tasks or ("",) * len(queries)
            categories = [of.get(self._category(task), len(of)) for task in tasks]
            chances[np.arange(len(tasks)), categories] = 1.0
            return chances
        raw = Classifier(state).predict(queries)
        entropy = -(raw * np.log(raw.clip(1e-12))).sum(axis=1) / np.log(raw.shape[1])
        unsure = entropy > self.options.max_entropy
        chances[:, :-1] = np.where(unsure[:, None], 0.0, raw)
        chances[unsure, -1] = 1.0
        return chances

    def _category(self, task: str) -> str:
        """Return the category of a task."""
        for name, patterns in self.options.domains.items():
            if any(fnmatchcase(task, pattern) for pattern in patterns):
                return name
        return task

    def _names(self) -> list[str]:
        whole = self.learned["names"].tobytes().decode("utf-8")
        return [*whole.split("\0"), GENERAL]


def _packed(names: list[str]) -> dict[str, NDArray[Any]]:
    import numpy as np

    return {"names": np.frombuffer("\0".join(names).encode("utf-8"), np.uint8)}


def _families(names: list[str]) -> NDArray[Any]:
    """Return a number for each name, equal where its first word is."""
    import numpy as np

    first = [re.split(r"[_\-/:. ]", name, maxsplit=1)[0] for name in names]
    numbers: NDArray[Any] = np.unique(np.array(first), return_inverse=True)[1]
    return numbers
