"""What experts can live on: GPUs by name or size, or this machine's memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from motet import units
from motet.errors import ConfigError
from motet.weights.sizes import available_memory
from motet.wording import did_you_mean

GPUS = {
    "t4": 15_360,
    "v100-16g": 16_384,
    "v100-32g": 32_768,
    "a10": 23_028,
    "l4": 23_034,
    "rtx4090": 24_564,
    "rtx5090": 32_607,
    "a100-40g": 40_960,
    "l40s": 46_068,
    "a100-80g": 81_920,
    "h100": 81_559,
    "h200": 143_771,
    "b200": 183_359,
    "mi300x": 196_592,
}
"""Memory by name in MiB, as the vendors' own tools report it."""

USABLE = 0.92
"""Part of a GPU's memory for weights, keys and values; the rest is the driver's and graphs'."""
_ITEM = re.compile(r"(?:(?P<count>\d+)\s*x\s*)?(?P<what>[A-Za-z0-9.\-]+(?:\s*[KMGT]i?B)?)", re.I)


@dataclass(frozen=True, slots=True)
class Device:
    """One place with memory of its own.

    Attributes
    ----------
    memory
        Bytes that experts may take.
    total
        Bytes it has.
    """

    name: str
    memory: int
    total: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Devices, and the host's memory for experts that sleep; rates are bytes a second.

    Attributes
    ----------
    host
        Bytes for experts that sleep; 0 where sleeping is impossible, as on a CPU.
    wake_rate, load_rate
        From the host's memory to a device, and from the disk.
    start_s
        Seconds an engine takes to start, beside reading its weights.
    """

    devices: tuple[Device, ...]
    host: int = 0
    wake_rate: float = 20e9
    load_rate: float = 2e9
    start_s: float = 20.0

    @property
    def gpus(self) -> bool:
        """Whether its devices are GPUs, and not the memory of a CPU."""
        return any(device.name != "cpu" for device in self.devices)

    def wake_s(self, size: int) -> float:
        """Return the seconds until a sleeping expert of `size` bytes answers."""
        return size / self.wake_rate

    def load_s(self, size: int) -> float:
        """Return the seconds until an expert on disk answers."""
        return self.start_s + size / self.load_rate


def this_machine() -> Machine:
    """Return this machine: its free memory, of which a tenth is left to other programs."""
    free = available_memory()
    return Machine((Device("cpu", int(0.9 * free), free),))


def parse_machine(spec: str, host: int = 0) -> Machine:
    """Return the machine of a text such as `2xh100, 24GiB` or `cpu:8GiB`.

    Raises
    ------
    ConfigError
        No device has such a name, and it is no size.
    """
    devices: list[Device] = []
    if spec.lower().startswith("cpu:"):
        size = _size(spec[4:].strip())
        return Machine((Device("cpu", size, size),))
    for item in filter(None, (part.strip() for part in spec.split(","))):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ConfigError(f"--devices: {item!r} is no device. {_EXAMPLES}")
        name = match["what"]
        total = GPUS[name.lower()] * units.MIB if name.lower() in GPUS else _size(name)
        for _ in range(int(match["count"] or 1)):
            label = f"{name.lower() if name.lower() in GPUS else 'gpu'}-{len(devices)}"
            devices.append(Device(label, int(total * USABLE), total))
    if not devices:
        raise ConfigError(f"--devices names no device. {_EXAMPLES}")
    return Machine(tuple(devices), host)


_EXAMPLES = "Say for example 2xh100, or a100-40g,24GiB, or cpu:8GiB."


def _size(text: str) -> int:
    size = units.parse(text)
    if size is None:
        raise ConfigError(
            f"--devices: no device {text!r}. {did_you_mean(text.lower(), GPUS)} {_EXAMPLES}"
        )
    if size < units.MIB:
        raise ConfigError(f"--devices: {text!r} is under 1 MiB; give a unit, such as 24GiB.")
    return size
