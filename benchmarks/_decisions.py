"""How long decisions take inside one process, all experts taken as ready.

Run as `python _decisions.py CONFIG`; prints milliseconds by composition, one JSON object. A process
of its own, so that it may run on the code of another checkout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import load
from motet.experts.fleet import ReadyFleet
from motet.types import Request

_DECISIONS = 200


async def main(config: Path) -> None:
    """Decide on every composition, each request a new one."""
    parts = assemble(load(config))
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()))
    found = {}
    for name in parts.document.config.compositions:
        taken = []
        for number in range(_DECISIONS):
            said = {"role": "user", "content": f"Where do swallows go in winter? ({number})"}
            request = Request(model=name, messages=(said,))
            began = time.perf_counter()
            await pipeline.decide(request)
            taken.append(1000 * (time.perf_counter() - began))
        found[name] = median(taken)
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
