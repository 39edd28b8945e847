"""An estimator inside another: built as its options name it, refused where they make no sense."""

import pytest

from motet.errors import ConfigError
from motet.routers.learned.kinds.knn import Neighbours
from motet.routers.learned.part import Part, build


def test_a_part_has_the_hyperparameters_beside_its_kind():
    part = build(Part.model_validate({"kind": "knn", "k": [3]}))
    assert isinstance(part, Neighbours) and part.options.k == (3,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "kn"}, "unknown learned router 'kn'.*'knn'"),
        ({"kind": "knn", "ks": [3]}, "knn: unknown option 'ks'. Did you mean 'k'"),
        ({"kind": "knn", "k": [0]}, r"knn: k.0: .*greater than 0"),
        ({"kind": "guard", "of": {"kind": "rigde"}}, "'rigde'.*'ridge'"),
    ],
)
def test_what_makes_no_sense_is_named(options, said):
    with pytest.raises(ConfigError, match=said):
        build(Part.model_validate(options))
