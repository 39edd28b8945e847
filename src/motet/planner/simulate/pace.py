"""How fast a device answers and loads: what the simulator takes from a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, ValidationError

from motet.config import Options
from motet.errors import ConfigError


class Pace(Options):
    """A device's pace; the defaults are those of a GPU, where `benchmarks/swapping.py` measures."""

    start_s: NonNegativeFloat = 20.0
    """Seconds that an engine takes to start, beside reading its weights."""
    load_rate: PositiveFloat = 2e9
    """Bytes a second that loading reads, counted as they lie in memory."""
    unload_s: NonNegativeFloat = 0.5
    """Seconds until an engine that leaves has given its memory back."""
    row_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Part of a request's time that it does not share with others of its batch. Engines share a
    device in turn: with n requests on k engines, each takes (1 - row_share) k + row_share n times
    as long as alone."""
    beside_load: PositiveFloat = 1.0
    """How much longer requests take while an engine is loaded."""
    beside_answers: PositiveFloat = 1.0
    """How much longer loading takes while requests are answered."""

    def load_s(self, size: int) -> float:
        """Return the seconds that loading `size` bytes takes on an idle device."""
        return self.start_s + size / self.load_rate


def read_pace(path: Path) -> Pace:
    """Return the pace in a JSON file.

    Raises
    ------
    ConfigError
        It cannot be read, or is no pace.
    """
    try:
        return Pace.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        known = ", ".join(Pace.model_fields)
        raise ConfigError(
            [f"{path}: {fault}" for fault in faults], hint=f"Known: {known}."
        ) from None
