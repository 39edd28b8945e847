"""First-fit decreasing: pinned ones, then those whose bytes save most waiting."""

from hypothesis import given
from hypothesis import strategies as st
from tests.planner.fleets import GIB, demand, machine

from motet.planner.first_fit import first_fit


def test_the_pinned_come_first_then_traffic_for_bytes():
    experts = [demand("hot", 6, 0.6), demand("warm", 3, 0.35), demand("held", 6, 0.05, pinned=True)]
    assert first_fit(experts, machine(10)) == {"held": (0,), "warm": (0,)}
    assert first_fit(experts, machine(10, 10)) == {"held": (0,), "warm": (0,), "hot": (1,)}


@given(
    st.lists(st.tuples(st.integers(2, 20), st.floats(0, 1), st.integers(1, 3)), max_size=8),
    st.lists(st.integers(4, 24), min_size=1, max_size=4),
)
def test_nobody_is_where_there_is_no_room(experts, sizes):
    demands = [demand(f"e{n}", size, rate, parts=k) for n, (size, rate, k) in enumerate(experts)]
    homes = first_fit(demands, machine(*sizes))
    for number, size in enumerate(sizes):
        there = [d.part for d in demands if number in homes.get(d.expert, ())]
        assert sum(there) <= size * GIB
    for each in demands:
        assert len(set(homes.get(each.expert, ()))) in (0, each.parts)
