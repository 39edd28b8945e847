"""Who lives on which device, and what loading takes there."""

import pytest
from tests.planner.fleets import document_in

from motet.errors import ConfigError
from motet.planner.devices import parse_machine
from motet.planner.simulate.homes import hosts_of, planned
from motet.planner.simulate.pace import Pace

MANY = "version: 1\nexperts:\n" + "".join(
    f"  - {{id: e{n}, engine: vllm, model: m, context: 512}}\n" for n in range(5)
)


@pytest.fixture
def document(tmp_path):
    return document_in(tmp_path)


def test_an_adapter_is_hosted_by_its_base_and_who_is_far_by_nobody(document):
    assert hosts_of(document) == {"base": "base", "tuned": "base", "other": "other"}


def test_every_expert_has_one_home_and_those_who_wait_are_dealt_out(tmp_path):
    document, pace = document_in(tmp_path, MANY), Pace(start_s=7.0)
    names = [f"e{n}" for n in range(5)]
    homes = planned(
        document,
        parse_machine("2GiB,2GiB"),
        pace,
        dict.fromkeys(names, 1.0),
        concurrency=2,
        seconds=0.5,
    )
    assert sorted(e.expert for home in homes for e in home.experts) == names
    assert sorted(len(home.experts) for home in homes) == [2, 3]
    for home in homes:
        assert all(e.size <= home.memory and e.load_s > 7.0 for e in home.experts)


def test_experts_over_several_devices_are_not_simulated(tmp_path):
    text = MANY.replace("context: 512}", "context: 512, resources: {gpus: 2}}", 1)
    with pytest.raises(ConfigError, match="several devices are not simulated: e0"):
        planned(
            document_in(tmp_path, text),
            parse_machine("24GiB,24GiB"),
            Pace(),
            {"e0": 1.0},
            concurrency=1,
            seconds=0.5,
        )
