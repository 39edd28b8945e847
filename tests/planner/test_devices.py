"""What experts can live on, as people write it."""

import pytest

from motet.errors import ConfigError
from motet.planner.devices import parse_machine, this_machine

GIB = 2**30


def test_devices_by_name_size_and_number():
    found = parse_machine("2xh100, 24GiB", host=5)
    assert [d.name for d in found.devices] == ["h100-0", "h100-1", "gpu-2"]
    assert found.devices[2].total == 24 * GIB and found.devices[2].memory < 24 * GIB
    assert parse_machine("cpu:8GiB").devices[0].memory == 8 * GIB


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("h10", "Did you mean 'h100'"),
        ("", "names no device"),
        ("2x", "no device"),
        ("24", "give a unit"),
        ("cpu:lots", "no device 'lots'"),
    ],
)
def test_devices_that_are_none(spec, said):
    with pytest.raises(ConfigError, match=said):
        parse_machine(spec)


def test_this_machine_gives_less_than_it_has():
    (device,) = this_machine().devices
    assert 0 < device.memory < device.total and not this_machine().gpus
