"""The scheduler by itself: bounds that hold whatever comes, and few loads."""

from hypothesis import given
from hypothesis import strategies as st

from motet.batch.orders import ORDERS
from motet.batch.outlook import rehearse
from motet.batch.scheduler import BatchScheduler, StartTurn
from motet.residency.actions import Load, Unload
from motet.residency.engines import Host

NAMES = "abcde"
SIZES = st.fixed_dictionaries({name: st.integers(1, 5) for name in NAMES})
STAGES = st.lists(
    st.frozensets(st.sampled_from(NAMES), min_size=1).map(tuple), min_size=1, max_size=3
)
SINGLE = st.sampled_from(NAMES).map(lambda name: ((name,),))


class Watched(BatchScheduler):
    """Checks, at each thing it says to do, that it may be done."""

    def __init__(self, sizes, budget, slots, order):
        super().__init__({name: Host(name) for name in sizes}, slots, ORDERS[order]())
        self.weigh(sizes, budget)
        self.served = []
        self.loaded_now = set()

    def next(self):
        action = super().next()
        assert self.ledger.budget is None or self.ledger.used <= self.ledger.budget
        match action:
            case StartTurn(turn):
                assert turn.expert in self.loaded_now
                assert self.running[turn.expert] <= self.slots
                self.served.append(turn)
            case Load(engine):
                assert engine not in self.loaded_now
                self.loaded_now.add(engine)
            case Unload(engine):
                assert not self.running[engine]
                self.loaded_now.remove(engine)
        return action


def played(lines, sizes, budget, slots, order):
    scheduler = Watched(sizes, budget, slots, order)
    rehearse(scheduler, dict(enumerate(lines)))
    wanted = sorted((n, e) for n, stages in enumerate(lines) for stage in stages for e in stage)
    assert sorted((turn.line, turn.expert) for turn in scheduler.served) == wanted
    assert not scheduler.ledger.used - sum(sizes[e] for e in scheduler.loaded_now)
    return scheduler


@given(
    st.lists(STAGES, max_size=25),
    SIZES,
    st.integers(5, 12),
    st.integers(1, 4),
    st.sampled_from(sorted(ORDERS)),
)
def test_every_call_is_served_once_within_the_budget(lines, sizes, budget, slots, order):
    scheduler = played(lines, sizes, budget, slots, order)
    assert not +scheduler.fed and not +scheduler.ahead


@given(st.lists(SINGLE, max_size=40), SIZES, st.integers(5, 12), st.integers(1, 4))
def test_lines_of_one_step_load_each_engine_once(lines, sizes, budget, slots):
    grouped = played(lines, sizes, budget, slots, "grouped")
    arrival = played(lines, sizes, budget, slots, "arrival")
    wanted = {expert for ((expert,),) in lines}
    assert sorted(grouped.loads) == sorted(wanted)
    assert len(grouped.loads) <= len(arrival.loads)


@given(
    st.integers(1, 20),
    st.frozensets(st.sampled_from(NAMES), min_size=2).map(sorted),
    st.sampled_from(NAMES),
    st.integers(1, 4),
)
def test_a_panel_with_its_aggregator_loads_each_engine_once(lines, panel, leader, budget):
    stages = [[tuple(panel), (leader,)]] * lines
    scheduler = played(stages, dict.fromkeys(NAMES, 1), budget, 2, "grouped")
    assert sorted(scheduler.loads) == sorted({*panel, leader})


def test_adapters_of_one_base_share_its_load():
    engines = {"base": Host("base"), "x": Host("base"), "y": Host("base"), "z": Host("z")}
    scheduler = BatchScheduler(engines, 2, ORDERS["grouped"]())
    scheduler.weigh({"base": 1, "z": 1}, 1)
    lines = {n: ((expert,),) for n, expert in enumerate(["x", "z", "y", "base", "z", "x"])}
    assert sorted(rehearse(scheduler, lines)) == ["base", "z"]


def test_an_engine_of_unknown_size_is_loaded_alone():
    scheduler = Watched({"a": 1, "b": 1, "c": 1}, 3, 1, "grouped")
    scheduler.weigh({"a": 1, "b": None, "c": 1}, 3)
    rehearse(scheduler, {n: ((e,),) for n, e in enumerate("abc")})
    assert sorted(scheduler.loads) == ["a", "b", "c"]
