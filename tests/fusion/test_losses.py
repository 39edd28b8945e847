"""What the router learns from."""

import torch

from motet.fusion.layers import RouterHead
from motet.fusion.losses import router_losses


def test_the_router_learns_who_was_right():
    torch.manual_seed(0)
    router = RouterHead(8, 2)
    prompts = torch.randn(64, 8)
    right = [{0: bool(x[0] > 0), 1: bool(x[0] <= 0)} for x in prompts]
    optimizer = torch.optim.Adam(router.parameters(), lr=1e-2)
    for _ in range(100):
        terms = router_losses(router, prompts, router(prompts), right)
        optimizer.zero_grad()
        (terms["right"] + 0.05 * terms["consistency"]).backward()
        optimizer.step()
    best = router(prompts).argmax(1)
    assert ((best == 0) == (prompts[:, 0] > 0)).float().mean() > 0.9
    assert all(term.isfinite() for term in terms.values())


def test_even_use_costs_least():
    def terms(logits):
        return router_losses(RouterHead(4, 2), torch.ones(2, 4), logits, [{}, {}])

    even, apart, same = (
        terms(torch.tensor(logits))
        for logits in ([[0.0, 0.0]] * 2, [[9.0, 0.0], [0.0, 9.0]], [[9.0, 0.0]] * 2)
    )
    assert even["entropy"] < apart["entropy"]
    assert even["balance"] == apart["balance"] < same["balance"]
    assert even["right"] == 0  # nobody knows who was
