"""What makes a batch the same batch after an interruption, and what is said when it is another."""

import pytest
from tests.batch.helpers import FLEET, MIXED, run_batch

from motet.errors import BatchError


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lines": MIXED[:5]}, "the input file"),
        ({"fleet": FLEET.replace("tokens: [bee]", "tokens: [BEE]")}, "experts.b"),
        ({"fleet": FLEET.replace("'bee'", "'hello'")}, "routers.words"),
        ({"model": "a"}, "--model"),
    ],
)
async def test_another_batch_is_refused_with_what_differs_or_begun_anew(tmp_path, change, said):
    await run_batch(tmp_path, MIXED)
    change = {"lines": MIXED, **change}
    with pytest.raises(BatchError, match=f"Changed since: {said}"):
        await run_batch(tmp_path, **change)
    done = await run_batch(tmp_path, **change, fresh=True)
    assert len(done.out) == len(change["lines"])


async def test_what_changes_no_answer_may_change(tmp_path):
    await run_batch(tmp_path, MIXED)
    same = FLEET.replace("{id: b,", "{id: b, description: of bees, optional: true,")
    assert not (await run_batch(tmp_path, MIXED, fleet=same)).loader.calls
