"""A small profiled world: three experts, three skills, a fake encoder that knows near words."""

import hashlib
from types import SimpleNamespace

import numpy as np
from tests.asks import setting_of

from motet.encoders.live import Batcher
from motet.progress import silent
from motet.routers.learned.store import EncoderRecord, TableRecord
from motet.routers.skill import lexical
from motet.routers.skill.profile import AnnotatorRecord, Profile
from motet.routers.skill.router import SkillConfig, SkillRouter
from motet.tables.routing import Table
from motet.types import ExpertCard, Fleet, Member, Request

EXPERTS = ("solver", "coder", "jurist")
FLEET = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in EXPERTS)
LEXICAL = AnnotatorRecord(kind="lexical", digest=lexical.digest())
QUESTIONS = {
    "solver": "Solve the quadratic equation for the variable",
    "coder": "Write a python function with a loop",
    "jurist": "Is the defendant liable in this court",
}
NEAR = {"statute": "law", "snake": "python"}


class FakeEncoder:
    """One direction a word; near words share one."""

    name = "fake"
    width = 64

    def __init__(self, salt="x"):
        self.digest = hashlib.sha256(salt.encode()).hexdigest()
        self.asked = []

    def encode(self, texts, report=silent):
        self.asked.extend(texts)
        return np.stack([self._one(NEAR.get(text, text)) for text in texts]).astype(np.float32)

    def _one(self, text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        vector = np.random.default_rng(seed).normal(size=self.width)
        return vector / np.linalg.norm(vector)


class Encoders:
    """One fake encoder, whatever is asked for."""

    def __init__(self, encoder=None):
        self.encoder = encoder or FakeEncoder()

    def live(self, name, backend="torch"):
        return SimpleNamespace(encoder=self.encoder, batcher=Batcher(self.encoder))


def record(encoder):
    return EncoderRecord(name=encoder.name, digest=encoder.digest, width=encoder.width)


def profile(encoder=None, **more):
    values = {
        "annotator": LEXICAL,
        "experts": EXPERTS,
        "tables": (TableRecord(name="t", digest="d", rows=60),),
        "encoder": record(encoder) if encoder else None,
        "counts": {
            "algebra": {"solver": (19, 1), "coder": (12, 8), "jurist": (1, 19)},
            "python": {"solver": (9, 11), "coder": (20, 0), "jurist": (0, 20)},
            "law": {"solver": (3, 17), "coder": (2, 18), "jurist": (18, 2)},
        },
        "overall": {"solver": (31, 29), "coder": (34, 26), "jurist": (19, 41)},
        "picks": {"solver": 30, "coder": 28, "jurist": 22},
    }
    return Profile(**{**values, **more})


def table(rows=60, seed=0):
    """Return a table in which each expert is good at its own questions."""
    random = np.random.default_rng(seed)
    tasks = [EXPERTS[row % 3] for row in range(rows)]
    chance = np.array([[0.9 if name == task else 0.2 for name in EXPERTS] for task in tasks])
    return Table(
        name="made-up",
        experts=EXPERTS,
        scores=(random.random(chance.shape) < chance).astype(np.float32),
        tasks=tuple(tasks),
        queries=tuple(f"{QUESTIONS[task]} {row}" for row, task in enumerate(tasks)),
    )


def ask(text):
    return Request(model="auto", messages=({"role": "user", "content": text},))


def router(folder, made=None, encoder=None, known=(*EXPERTS, "newcomer"), **options):
    (made or profile()).save(folder / "p.json")
    config = SkillConfig.model_validate({"profile": "p.json", **options})
    setting = setting_of(*known, folder=folder, encoders=Encoders(encoder), kind="skill")
    return SkillRouter("skills", config, setting)
