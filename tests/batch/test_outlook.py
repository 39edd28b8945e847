"""What a batch is going to do, told before it begins."""

import pytest
from tests.batch.helpers import Loaded, line, run_batch

from motet.batch.outlook import Outlook
from motet.errors import BatchError
from motet.residency.engines import Host


async def test_an_expert_larger_than_the_memory_is_refused_before_anything_loads(tmp_path):
    class Large(Loaded):
        async def sizes(self, engines):
            return dict.fromkeys(engines, 3 * 1024**2)

    with pytest.raises(BatchError, match=r"allowed is 1MiB, but 'a' takes 3MiB.*Allow 3MiB"):
        await run_batch(tmp_path, [line("x")], memory=1024**2, loader=Large)


HOSTS = {"a": Host("a"), "b": Host("b"), "x": Host("a")}


def outlook():
    found = Outlook(HOSTS)
    for number, stages in enumerate([(("a",),), (("x",), ("b",)), (("a",),)]):
        found.add(number, stages)
    return found


def test_calls_are_of_experts_and_loads_of_their_engines():
    found = outlook()
    assert found.calls == {"a": 2, "x": 1, "b": 1} and found.engines == {"a", "b"}
    found.weigh({"a": 5, "b": 3}, 5, None)
    loads = found.loads(2, "grouped")
    assert loads == ["a", "b"]
    told = {each.expert: each for each in found.forecasts(loads)}
    assert (told["x"].engine, told["x"].calls, told["x"].bytes, told["x"].loads) == ("a", 1, 5, 1)
    assert next(iter(told)) == "a"  # the busiest first


@pytest.mark.parametrize(
    ("asked", "room", "budget"), [(9, 4, 9), (None, 8, 8), (None, 4, 5), (None, None, None)]
)
def test_the_budget_is_as_asked_or_the_room_or_the_largest_engine(asked, room, budget):
    found = outlook()
    found.weigh({"a": 5, "b": None}, asked, room)
    assert found.budget == budget
