"""Which implementation serves a call, and when a call must pass torch's dispatcher."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from motet.kernels.dispatch import choose, needs_operator


def test_a_named_implementation_is_taken_and_a_wrong_name_refused():
    x = torch.zeros(1)
    assert choose(None, x) == "cpu"
    assert choose("reference", x) == "reference"
    with pytest.raises(ValueError, match="no implementation 'refrence'. Did you mean 'reference'"):
        choose("refrence", x)


def test_only_gradients_and_tensors_of_another_kind_need_the_dispatcher():
    plain, learning = torch.zeros(1), torch.nn.Parameter(torch.zeros(1))
    assert not needs_operator(plain, None)
    assert needs_operator(plain, learning)
    with torch.no_grad():
        assert not needs_operator(plain, learning)
    with FakeTensorMode():
        assert needs_operator(torch.zeros(1))
