"""The two ways through a batch, one after the other on the same lines."""

from tests.batch.helpers import MIXED, run_batch


async def test_in_arrival_order_an_expert_is_loaded_again_and_again(tmp_path):
    grouped = await run_batch(tmp_path, MIXED)
    (tmp_path / "state").unlink()
    arrival = await run_batch(tmp_path, MIXED, order="arrival")
    assert len(arrival.loader.loads) > 5 * len(grouped.loader.loads)
    assert arrival.out == grouped.out
