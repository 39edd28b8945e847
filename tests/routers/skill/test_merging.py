"""Counts add up whatever the order, and merged keywords stay merged."""

from hypothesis import given
from hypothesis import strategies as st

from motet.routers.skill.merging import added, representatives, together

TALLIES = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 9), st.integers(0, 9)))


@given(TALLIES, TALLIES)
def test_sums_commute_and_keep_everything(one, other):
    whole = added(one, other)
    assert whole == added(other, one) and list(whole) == sorted(whole)
    for place in (0, 1):
        apart = [*one.values(), *other.values()]
        assert sum(t[place] for t in whole.values()) == sum(t[place] for t in apart)


def test_a_chain_of_merges_has_one_representative():
    one = ({"law": {"a": (1, 0)}}, {"statute": "law"})
    other = ({"statute": {"a": (2, 1)}}, {"clause": "statute"})
    for profiles in ([one, other], [other, one]):
        names = representatives(profiles)
        assert names == {"law": "law", "statute": "law", "clause": "law"}
        assert together([counts for counts, _ in profiles], names) == {"law": {"a": (3, 1)}}
