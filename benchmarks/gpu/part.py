"""One part in a process of its own: what fails or hangs here costs the other parts nothing."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import DRY, GPU


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    recorder = Recorder(arguments.part, arguments.out, arguments.seconds)
    module = import_module(f"benchmarks.gpu.{arguments.part}")
    module.run(recorder, DRY if arguments.dry else GPU, arguments.seed)


if __name__ == "__main__":
    main()
