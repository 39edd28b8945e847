"""Descent: the same for the same seed; and a line from a router's own values to scores."""

import numpy as np
import torch

from motet.routers.learned.training import as_quality, descend, generator, normal


def learned(seed):
    random = generator(seed)
    inputs = torch.randn(40, 3, generator=generator(9))
    wanted = inputs @ torch.tensor([1.0, -2.0, 0.5])
    weights = normal((3,), 0.1, random)

    def loss(rows):
        return ((inputs[rows] @ weights - wanted[rows]) ** 2).mean()

    descend([weights], loss, rows=40, batch=8, epochs=200, rate=0.02, generator=random)
    return weights.detach()


def test_it_finds_the_least_and_repeats_itself():
    threads = torch.get_num_threads()
    found = learned(3)
    assert torch.allclose(found, torch.tensor([1.0, -2.0, 0.5]), atol=1e-2)
    assert torch.equal(learned(3), found) and not torch.equal(learned(4), found)
    assert torch.get_num_threads() == threads


def test_the_line_is_found_and_never_falls():
    values = np.random.default_rng(0).normal(size=(50, 2))
    line, error = as_quality(values, 0.3 * values + 0.5)
    np.testing.assert_allclose(line, [0.3, 0.5])
    assert error.max() < 1e-9
    line, _ = as_quality(values, -values)
    assert line[0] == 0  # what ranks the wrong way round is no ranking at all
