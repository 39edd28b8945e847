"""Result files: both whole, or as they were."""

from unittest import mock

import pytest
from tests.batch.helpers import line, run_batch

from motet.errors import BatchError


async def test_a_full_disk_leaves_the_output_as_it_was_and_the_answers_kept(tmp_path):
    lines = [line(f"q{n}") for n in range(5)]
    (tmp_path / "out.jsonl").write_text("before")
    full = OSError(28, "No space left on device")
    with mock.patch("os.fsync", side_effect=full):
        with pytest.raises(BatchError, match="out.jsonl.*No space left on device.*Every answer is"):
            await run_batch(tmp_path, lines)
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert not list(tmp_path.glob("*.tmp*")) and not list(tmp_path.glob(".*.tmp*"))
    done = await run_batch(tmp_path, lines)
    assert len(done.out) == 5 and not done.loader.calls
