"""The checks that a GPU is to pass can fail."""

import pytest
import torch
from benchmarks.gpu.correctness import judged, poisoned, twice


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1.3])
def test_a_wrong_number_is_seen(wrong):
    wanted = torch.ones(50)
    got = wanted.clone()
    assert judged(got, wanted, "float32")["ok"]
    got[17] = wrong
    assert not judged(got, wanted, "float32")["ok"]


def test_what_nobody_wrote_is_nan():
    with poisoned():
        assert torch.empty(5, 3).isnan().all()
        assert torch.empty_like(torch.ones(4, dtype=torch.bfloat16)).isnan().all()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_call_that_does_not_repeat_is_seen():
    draws = iter([torch.ones(2), torch.zeros(2)])
    assert twice(lambda: next(draws))[1] is False
