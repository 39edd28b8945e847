"""A fusion on disk and in a config, and its expert, started."""

from contextlib import asynccontextmanager

from tests.fusion.world import make_world, opened

from motet.config import ExpertEntry
from motet.fusion.artifact import save
from motet.fusion.engine import LatentExpert, LatentOptions
from motet.fusion.serving import LoadedFusion, load_fusion
from motet.types import Request

CONFIG = """
version: 1
experts:
  - {id: ann, engine: transformers, model: ann}
  - {id: bob, engine: transformers, model: bob}
  - {id: cid, engine: transformers, model: cid}
  - {id: fusion, engine: latent, artifact: art, dtype: float32, max_batch: 4}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [OTHERS]}
compositions:
  fused: {router: r, strategy: {kind: latent, expert: fusion}}
"""


def served(folder):
    """Return a world whose fusion stands in `art`."""
    made = make_world(folder)
    save(made.folder / "art", made.card, opened(made.layers))
    return made


class Reader:
    """A member that reads in another way."""

    def __init__(self, member, read):
        self._member = member
        self._read = read

    def __getattr__(self, name):
        return getattr(self._member, name)

    def read(self, tokens, draft=0):
        return self._read(self._member, tokens, draft)


def reading(read):
    """Return a loader of fusions whose members read by `read`, given the member first."""

    def load(expert, *args, **options):
        fusion = load_fusion(expert, *args, **options)
        members = [Reader(member, read) for member in fusion.members]
        return LoadedFusion(expert, fusion.card, fusion.layers, members)

    return load


def engine(world, artifact="art", load=None, **options) -> LatentExpert:
    return LatentExpert(
        ExpertEntry(id="fusion", engine="latent"),
        LatentOptions(artifact=artifact, **{"dtype": "float32", "max_batch": 4} | options),
        world.setting,
        load,
    )


@asynccontextmanager
async def started(world, **options):
    expert = engine(world, **options)
    await expert.start()
    try:
        yield expert
    finally:
        await expert.close()


def ask(prompt, primary="ann", peers=("bob", "cid"), **fields) -> Request:
    named = {"fusion": {"primary": primary, "peers": list(peers)}} if primary else {}
    fields = {"temperature": 0.0, "max_tokens": 10, "stream": True} | fields
    return Request(model="fusion", prompt=prompt, extra=named, **fields)


async def answer(expert, request) -> str:
    return "".join([chunk.text async for chunk in expert.stream(request)])
