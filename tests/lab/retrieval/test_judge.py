"""nDCG@10 of one right document."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motet.lab.retrieval.judge import CUT, ndcg


@given(st.integers(1, 20), st.integers(0, 1000))
def test_it_is_that_of_the_rank(documents, seed):
    random = np.random.default_rng(seed)
    vectors = np.eye(documents, dtype=np.float32)
    query = random.permutation(documents).astype(np.float32)[None]
    answer = np.array([random.integers(documents)])
    rank = int((query[0] > query[0, answer[0]]).sum()) + 1
    expected = 1 / np.log2(1 + rank) if rank <= CUT else 0
    assert ndcg(query, vectors, answer)[0] == expected


def test_a_tie_is_no_gain():
    same = np.ones((20, 2), np.float32)
    assert ndcg(same[:1], same, np.array([0]))[0] == 0
