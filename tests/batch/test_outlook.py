"""What a batch is going to do, told before it begins."""

import pytest
from tests.batch.helpers import Loaded, line, run_batch

from motet.errors import BatchError


async def test_an_expert_larger_than_the_memory_is_refused_before_anything_loads(tmp_path):
    class Large(Loaded):
        async def sizes(self, engines):
            return dict.fromkeys(engines, 3 * 1024**2)

    with pytest.raises(BatchError, match=r"allowed is 1MiB, but 'a' takes 3MiB.*Allow 3MiB"):
        await run_batch(tmp_path, [line("x")], memory=1024**2, loader=Large)
