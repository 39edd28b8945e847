"""Which keywords count: how often they must stand, and which are one."""

import numpy as np

from motet.routers.skill import taxonomy


def test_a_larger_table_asks_for_more_questions_a_keyword():
    assert [taxonomy.least(rows) for rows in (1, 420, 7598)] == [3, 3, 8]


def test_a_keyword_counts_once_a_question_and_the_frequent_come_first():
    frequency = taxonomy.frequencies([("a", "a", "b"), ("b",), ("c",)])
    assert dict(frequency) == {"a": 1, "b": 2, "c": 1}
    assert taxonomy.common(frequency) == ["b", "a", "c"]


def test_near_ones_join_the_most_frequent_and_nobody_joins_one_that_joined():
    angles = np.radians([0.0, 20.0, 40.0, 90.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    words = ["law", "statute", "clause", "python"]
    # 20 degrees are near, 40 are not: `clause` is near `statute`, which stands for nothing.
    assert taxonomy.near_duplicates(words, vectors, 0.93) == {"statute": "law"}
    assert taxonomy.near_duplicates(words, vectors, 0.7) == {"statute": "law", "clause": "law"}
