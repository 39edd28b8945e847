"""Files and folders are written whole, or everything is as it was."""

import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet import files

FULL = OSError(28, "No space left on device")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in files.files_below(folder)}


@given(pieces=st.lists(st.binary(max_size=20), max_size=6), failing=st.none() | st.integers(0, 5))
def test_a_file_is_the_new_one_or_the_old_one(tmp_path_factory, pieces, failing):
    folder = tmp_path_factory.mktemp("place")
    place = folder / "data.json"
    place.write_bytes(b"old")
    broken = failing is not None and failing < len(pieces)
    try:
        with files.replacing(place) as temporary, temporary.open("wb") as target:
            for number, piece in enumerate(pieces):
                if number == failing:
                    raise FULL
                target.write(piece)
                assert place.read_bytes() == b"old"
    except OSError:
        assert broken
    assert content(folder) == {"data.json": b"old" if broken else b"".join(pieces)}


@pytest.mark.parametrize("fault", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_at_the_end_leaves_the_old_file(tmp_path, fault):
    place = tmp_path / "page.html"
    files.write_text(place, "old")
    with mock.patch(fault, side_effect=FULL), pytest.raises(OSError, match="No space left"):
        files.write_text(place, "new")
    assert content(tmp_path) == {"page.html": b"old"}


def test_a_file_has_the_ending_of_its_place_and_the_rights_of_any_other(tmp_path):
    (tmp_path / "other").touch()
    with files.replacing(tmp_path / "plan.svg") as temporary:
        assert temporary.suffix == ".svg" and temporary.parent == tmp_path
        temporary.write_bytes(b"x")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_block_that_writes_nothing_changes_nothing(tmp_path):
    files.write_bytes(tmp_path / "a", b"old")
    with files.replacing(tmp_path / "a"), files.replacing(tmp_path / "b"):
        pass
    assert content(tmp_path) == {"a": b"old"}


def test_no_folder_is_made_for_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_text(tmp_path / "none" / "a", "x")
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_text(pipe, "seen")
    assert os.read(reader, 10) == b"seen"
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("before", [None, {}, {"old": b"1", "sub/old": b"2"}])
def test_a_folder_is_replaced_as_a_whole(tmp_path, before):
    place = tmp_path / "artifact"
    for name, data in (before or {}).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    if before == {}:
        place.mkdir()
    with files.replacing_folder(place) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "new").write_bytes(b"3")
        (temporary / "sub" / "new").chmod(0o600)
        assert not place.exists() or content(place) == before
    assert content(tmp_path) == {"artifact/sub/new": b"3"}
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]
    assert (place / "sub" / "new").stat().st_mode & 0o777 == 0o644
    assert place.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("fault", ["the block", "os.fsync", "the last rename"])
def test_a_folder_that_fails_leaves_the_old_one(tmp_path, fault):
    place = tmp_path / "artifact"
    place.mkdir()
    (place / "data").write_bytes(b"old")
    rename = Path.rename

    def fails_for_the_new(self, target):
        if self.suffix == ".tmp":
            raise FULL
        return rename(self, target)

    def fill():
        with files.replacing_folder(place) as temporary:
            (temporary / "data").write_bytes(b"new")
            if fault == "the block":
                raise FULL

    faults = {
        "os.fsync": mock.patch("os.fsync", side_effect=FULL),
        "the last rename": mock.patch.object(Path, "rename", fails_for_the_new),
        "the block": mock.MagicMock(),
    }
    with faults[fault], pytest.raises(OSError, match="No space left"):
        fill()
    assert content(tmp_path) == {"artifact/data": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_text_is_read_whoever_wrote_it(tmp_path):
    place = tmp_path / "text"
    place.write_bytes(b"\xef\xbb\xbfa\r\nb\xe2\x80\xa8c\rd")
    assert files.read_text(place) == "a\nb\u2028c\nd"
    assert files.read_lines(place) == ["a", "b\u2028c", "d"]
    place.write_bytes("ok\ncaf\xe9".encode("latin-1"))
    with pytest.raises(
        OSError, match=r"line 2 is no text in UTF-8 \(byte 0xe9\); save it as UTF-8"
    ):
        files.read_text(place)
