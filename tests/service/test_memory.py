"""What has outlived a long collection is left out of those to come, until something is let go of."""

import gc
import weakref

import pytest

from motet.service import memory


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(memory, "_LONG_S", 0.0)
    yield
    gc.callbacks.remove(memory._freeze_after_long)
    gc.unfreeze()


class Circle:
    def __init__(self):
        self.itself = self


def test_what_lives_is_read_once_and_circles_go_when_it_looks_again():
    gc.collect()
    memory.keep_collections_short()
    memory.keep_collections_short()
    assert gc.callbacks.count(memory._freeze_after_long) == 1
    old = Circle()
    seen = weakref.ref(old)
    gc.collect()
    assert gc.get_freeze_count() > 10_000
    del old
    gc.collect()
    assert seen() is not None
    memory.look_again()
    gc.collect()
    assert seen() is None


def test_what_came_later_is_collected_all_the_same():
    memory.keep_collections_short()
    gc.collect()
    new = Circle()
    seen = weakref.ref(new)
    del new
    gc.collect()
    assert seen() is None
