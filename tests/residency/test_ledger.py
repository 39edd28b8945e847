"""The ledger by itself: what is used is what those who are there take, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from motet.residency.ledger import EngineState, Holding, Ledger

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 5)), max_size=40)


@given(STEPS, st.integers(1, 12) | st.none())
def test_used_is_the_sum_of_who_is_there(steps, budget):
    ledger = Ledger(budget)
    for name in "abc":
        ledger.admit(Holding(name, 3))
    for name, well, size in steps:
        engine = ledger.engines[name]
        match engine.state:
            case EngineState.ABSENT:
                ledger.resize(engine, size)
                if ledger.fits(engine):
                    ledger.load(engine)
            case EngineState.LOADING:
                ledger.landed(engine, loaded=well)
            case EngineState.LOADED:
                ledger.unload(engine)
            case EngineState.UNLOADING:
                ledger.gone(engine)
        there = [e for e in ledger.engines.values() if e.state is not EngineState.ABSENT]
        assert ledger.used == sum(e.size for e in there)
        assert budget is None or ledger.used <= budget


def test_what_is_there_already_counts_and_may_be_too_much():
    ledger = Ledger(4)
    ledger.admit(Holding("a", 5), loaded=True)
    ledger.admit(Holding("b", 1))
    assert ledger.used == 5 and ledger.short(ledger.engines["b"]) == 2
    ledger.resize(ledger.engines["a"], 3)
    assert ledger.used == 3 and ledger.fits(ledger.engines["b"])
    assert [e.id for e in ledger.among(EngineState.LOADED)] == ["a"]


def test_what_is_measured_has_the_last_word():
    left = 2
    ledger = Ledger(10, lambda: left)
    ledger.admit(Holding("a", 3))
    assert ledger.short(ledger.engines["a"]) == 1
    left = 3
    assert ledger.fits(ledger.engines["a"])
