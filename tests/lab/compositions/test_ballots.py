"""Votes and cascades on a made-up world: fitted, followed, aimed."""

import numpy as np
import pytest
from tests.composer.fitted.world import COSTS, EXPERTS, write

from motet.composer.fitted.ballots import FittedBallots
from motet.errors import ArtifactError, TableError
from motet.lab.compositions import ballots
from motet.lab.compositions.ballots import Aim, Point, cross_validated_vote, fit_cascade, fit_vote
from motet.lab.compositions.outcome import controls, figures, figures_json
from motet.tables import read_recorded


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ballots")
    return [
        read_recorded(write(folder / f"{n}.parquet", 160, n), tuple(EXPERTS), needs=("answer",))
        for n in (0, 1)
    ]


@pytest.fixture(scope="module")
def cascade(tables):
    return fit_cascade(tables[0], Aim("accuracy", 0.9))


def test_a_vote_learns_whom_to_hear_on_which_task(tables):
    weak = ("cheap", "sums", "hues")
    known, test = (read_of(table, weak) for table in tables)
    made = fit_vote(known)
    assert made.teller.names == ("hues", "sums")
    assert fit_vote(tables[0]).forms == ("exact", "value")
    said = figures(test.routing, [ballots.outcome(made, test), *controls(test.routing)])
    accuracy, single = (
        said[f"{name}accuracy_mean_over_tasks"].value for name in ("", "best_single_")
    )
    assert accuracy > single + 0.15 and said["calls_mean"].value == 3
    flat = figures_json(said)
    assert flat["confidence_auroc"] > 0.7 and flat["confidence_ece"] < 0.15
    assert flat["accuracy_mean_over_tasks_low"] <= accuracy <= flat["accuracy_mean_over_tasks_high"]
    assert flat["cost_per_thousand_questions"] == pytest.approx(1000 * flat["cost_mean"])


def read_of(table, experts):
    columns = [table.experts.index(name) for name in experts]
    from dataclasses import replace

    return replace(
        table,
        routing=table.routing.of(experts),
        answers=tuple(tuple(row[c] for c in columns) for row in table.answers),
    )


def test_the_tables_own_tasks_decide_nothing(tables):
    from dataclasses import replace

    made = fit_vote(tables[0])
    blind = replace(tables[1], routing=replace(tables[1].routing, tasks=("?",) * len(tables[1])))
    assert np.array_equal(ballots.follow(made, tables[1]).score, ballots.follow(made, blind).score)


def test_a_cascade_reaches_its_aim_for_less(tables, cascade):
    made, points, chosen = cascade
    assert len(points) >= ballots._PRICES and chosen in points
    said = ballots.follow(made, tables[1])
    assert said.score.mean() > 0.85 and said.cost.mean() < COSTS["dear"]
    assert (said.calls >= 1).all() and said.calls.mean() < len(EXPERTS)


def test_a_fit_is_the_same_each_time(tables, cascade):
    again, _, chosen = fit_cascade(tables[0], Aim("accuracy", 0.9))
    assert again.courses == cascade[0].courses and chosen == cascade[2]


def test_it_comes_back_from_disk(tables, cascade, tmp_path):
    made = cascade[0]
    made.save(tmp_path / "c", "cascade", {"best_single": "dear"})
    again = FittedBallots.load(tmp_path / "c", "cascade")
    assert again.courses == made.courses
    one, other = ballots.follow(again, tables[1]), ballots.follow(made, tables[1])
    assert np.array_equal(one.score, other.score) and np.array_equal(one.cost, other.cost)
    with pytest.raises(ArtifactError, match="holds a fitted cascade, not a vote"):
        FittedBallots.load(tmp_path / "c", "vote")
    cover = tmp_path / "c" / "composition.json"
    cover.write_text(cover.read_text().replace('"dear"', '"deer"', 1))
    with pytest.raises(ArtifactError, match="damaged"):
        FittedBallots.load(tmp_path / "c", "cascade")


def test_an_aim_is_met_by_the_cheapest_or_the_best(tables):
    points = [Point(1, 0.6, 0.001, 0.6), Point(2, 0.8, 0.002, 0.8), Point(3, 0.9, 0.004, 0.9)]
    single = ballots._single(tables[0], 0)

    def chosen(*aim):
        return ballots._chosen(points, Aim(*aim), tables[0], single)

    assert chosen("accuracy", 0.7).lam == 2 and chosen("accuracy", 0.85).lam == 3
    assert chosen("accuracy", 0.805).lam == 2  # so little short is nothing
    assert chosen("accuracy", 0.8, 0.05).lam == 3
    assert chosen("cost", 0.003).lam == 2 and chosen("cost", None).lam == 3
    with pytest.raises(TableError, match=r"0.9500; the best is 0.9000"):
        chosen("accuracy", 0.95)
    with pytest.raises(TableError, match="the least is 0.001"):
        chosen("cost", 0.0001)


def test_a_vote_is_cross_validated(tables):
    said = cross_validated_vote(tables[0])
    assert said.score.mean() > 0.9 and (said.calls == len(EXPERTS)).all()


def test_tables_without_what_is_needed_are_refused(tables):
    from dataclasses import replace

    with pytest.raises(TableError, match="answer:<expert>"):
        fit_vote(replace(tables[0], answers=None))
    with pytest.raises(TableError, match="needs costs"):
        fit_cascade(replace(tables[0], routing=replace(tables[0].routing, costs=None)), Aim("cost"))
