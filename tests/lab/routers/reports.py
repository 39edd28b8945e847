"""Reports of routers that guess more or less well."""

from dataclasses import replace

import numpy as np
from tests.lab.routers.synthetic import EXPERTS, synthetic

from motet.lab.routers.evaluate import outcome_of
from motet.lab.routers.report import Timing, judge
from motet.routers.learned.base import Estimate

EVIL = "<script>alert(1)</script> & co"


def report(names=("first", "second"), **options):
    table = synthetic(**options)
    if EVIL in names:
        table = replace(table, tasks=(EVIL,) * 120 + ("b",) * 120, experts=(EVIL, *EXPERTS[1:]))
    random = np.random.default_rng(0)
    outcomes = []
    for number, name in enumerate(names):
        quality = (table.scores + random.normal(0, 0.3 + number, table.scores.shape)).clip(0, 1)
        estimate = Estimate(quality=quality, error=np.ones_like(quality), cost=table.costs)
        outcomes.append(outcome_of(name, estimate, table.experts))
    timing = Timing(fit_seconds=1.5, decision_ms_p50=0.2, decision_ms_p95=0.3)
    return judge(table, outcomes, timings={names[0]: timing}, draws=50, settings={"seed of": EVIL})
