"""A training of a few steps, and a report that stops it."""

from tests.fusion.world import QUESTIONS, ask

from motet.fusion.data import Example
from motet.fusion.train import Training, TrainOptions

OPTIONS = TrainOptions(steps=6, batch=4, save_every=2, warmup=1, lr=1e-2, gate_lr=0.1)
EXAMPLES = [Example(ask(q), " in", right={"ann": n % 2 == 0}) for n, q in enumerate(QUESTIONS)]


def training(world, cache, options=OPTIONS, examples=EXAMPLES):
    return Training(world.card, options, examples, world.member, cache)


def quiet(*_):
    pass


class Stopped(Exception):
    pass


def stop_at(step):
    def report(stage, done, total):
        if stage.startswith("training") and done == step:
            raise Stopped

    return report
