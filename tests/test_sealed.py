"""Artifacts under one seal: what is written is read, and nothing else is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from motet.errors import ArtifactError
from motet.sealed import seal, sealed_arrays, sealed_facts

FACTS = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name not in ("format", "kind", "sha256")),
    st.integers() | st.text() | st.lists(st.text()),
    max_size=4,
)


@settings(max_examples=25)
@given(FACTS, arrays_of.arrays(np.float32, (2, 3), elements=st.floats(width=32, allow_nan=False)))
def test_what_is_sealed_is_read(tmp_path_factory, facts, array):
    folder = tmp_path_factory.mktemp("sealed") / "it"
    digest = seal(folder, "thing", facts, {"a": array})
    read = sealed_facts(folder, "thing", "motet make")
    assert {name: read[name] for name in facts} == facts and read["sha256"] == digest
    np.testing.assert_array_equal(sealed_arrays(folder, read)["a"], array)


def sealed(tmp_path):
    seal(tmp_path / "it", "thing", {"x": 1}, {"a": np.zeros(3, np.float32)})
    return tmp_path / "it"


def changed(folder, **fields):
    values = json.loads((folder / "facts.json").read_text()) | fields
    (folder / "facts.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: changed(f, x=2), "not as it was written"),
        (lambda f: changed(f, format=7), "stale: it has format 7"),
        (lambda f: changed(f, kind="other"), "is of kind 'other', and 'thing'"),
        (lambda f: (f / "facts.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "facts.json").unlink(), r"holds no facts.json. Make it again: motet make"),
    ],
)
def test_what_is_spoilt_is_refused(tmp_path, spoil, said):
    folder = sealed(tmp_path)
    spoil(folder)
    with pytest.raises(ArtifactError, match=said):
        sealed_facts(folder, "thing", "motet make")


def test_arrays_that_changed_are_refused(tmp_path):
    folder = sealed(tmp_path)
    file = folder / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(ArtifactError, match="arrays.safetensors has changed"):
        sealed_arrays(folder, sealed_facts(folder, "thing", ""))


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ArtifactError, match="holds no artifact"):
        seal(tmp_path, "thing", {}, {})
    again = sealed(tmp_path / "below")
    assert seal(again, "thing", {"x": 2}, {}) != seal(again, "thing", {"x": 3}, {})
