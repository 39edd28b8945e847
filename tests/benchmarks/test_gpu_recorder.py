"""Results of a part: on disk at once, whatever a case does."""

import pytest
from benchmarks.gpu.recorder import Recorder, read_rows


def test_a_case_that_fails_is_a_result_and_the_next_one_runs(tmp_path):
    recorder = Recorder("speed", tmp_path, seconds=100)

    def fails():
        raise MemoryError("too large\nby far")

    assert recorder.attempt("large", fails) == {}
    assert recorder.attempt("small", lambda: {"ms": 2.0}) == {"ms": 2.0}
    assert read_rows(tmp_path) == [
        {"part": "speed", "case": "large", "failed": "MemoryError: too large"},
        {"part": "speed", "case": "small", "ms": 2.0},
    ]


def test_a_lost_device_ends_the_part_after_it_is_written_down(tmp_path):
    recorder = Recorder("speed", tmp_path, seconds=100)

    def lost():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        recorder.attempt("first", lost)
    assert "illegal memory access" in read_rows(tmp_path)[0]["failed"]


def test_what_does_not_fit_into_the_time_is_left_out(tmp_path):
    recorder = Recorder("speed", tmp_path, seconds=5)
    assert recorder.attempt("long", lambda: {"ms": 1.0}, needs=10) == {}
    (row,) = read_rows(tmp_path)
    assert row["skipped"].endswith("it needs 10")
