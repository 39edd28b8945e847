"""A transformer compiled by OpenVINO, beside the same by torch."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.weights import Setting, default_cache


@pytest.mark.timeout(600)
def test_openvino_says_what_torch_says(tmp_path):
    setting = Setting(tmp_path, default_cache())
    texts = ["a dog barks", "the court dismissed the appeal", "", "word " * 300, "sum the list"]
    plain = encoder(DEFAULT_ENCODER, setting).encode(texts)
    compiled = encoder(DEFAULT_ENCODER, setting, backend="openvino")
    assert compiled.digest == encoder(DEFAULT_ENCODER, setting).digest and compiled.width == 384
    assert (compiled.encode(texts) * plain).sum(1).min() > 0.999
    assert not np.array_equal(compiled.encode(texts), plain)  # it is not torch that answers
    with ThreadPoolExecutor(4) as threads:
        for row, vectors in enumerate(threads.map(compiled.encode, [[text] for text in texts])):
            assert vectors[0] @ plain[row] > 0.999
    # Nothing is reported to anybody.
    assert sys.modules["openvino_telemetry"] is None
