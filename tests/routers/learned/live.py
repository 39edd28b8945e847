"""The world's experts as a fleet, and the setting of a router that chooses among them."""

from types import SimpleNamespace

from tests.asks import setting_of
from tests.routers.learned import world

from motet.encoders.live import Batcher
from motet.types import ExpertCard, Fleet, Member, Request

FLEET = Fleet(
    Member(ExpertCard(id=name, engine="fake", description=" ".join(words)))
    for name, words in zip(("solver", "coder", "jurist"), world.TOPICS.values(), strict=True)
)


class Encoders:
    """One fake encoder, whatever is asked for."""

    def __init__(self, encoder=world.ENCODER):
        self.encoder = encoder

    def live(self, name, backend="torch"):
        return SimpleNamespace(encoder=self.encoder, batcher=Batcher(self.encoder))


def ask(text):
    return Request(model="auto", messages=({"role": "user", "content": text},))


def around(folder, experts=("solver", "coder", "jurist", "newcomer"), kind="ridge"):
    return setting_of(*experts, folder=folder, encoders=Encoders(), kind=kind)
