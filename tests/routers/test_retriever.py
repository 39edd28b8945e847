"""The encoder of a query's domain: nearest on average, among those that are there."""

import numpy as np
import pytest
from tests.asks import NOBODY
from tests.routers.learned import world

from motet.config import Setting
from motet.encoders.domains import Domains
from motet.encoders.live import Batcher, Live
from motet.errors import ConfigError, RequestError
from motet.routers.retriever import RetrieverConfig, RetrieverRouter
from motet.types import ExpertCard, Fleet, Member, Request, Task, Texts


class Shelf:
    """The encoders of a service: one."""

    def live(self, name, backend):
        return Live(world.ENCODER, Batcher(world.ENCODER))


@pytest.fixture
def folder(tmp_path):
    names = tuple(world.TOPICS)
    centroids = np.stack([world.ENCODER.encode(words) for words in world.TOPICS.values()])
    none = np.zeros((3, world.WIDTH, 1), np.float32)
    base = world.ENCODER
    Domains(base.name, base.digest, names, centroids, none, none.transpose(0, 2, 1), {}).save(
        tmp_path / "d"
    )
    return tmp_path


def router(folder, encoding=(*world.TOPICS, "base"), **options):
    setting = Setting(folder, encoders=Shelf(), encoding=encoding)
    return RetrieverRouter("domains", RetrieverConfig(artifact="d", **options), setting)


def fleet(*names):
    return Fleet(Member(ExpertCard(id=name, engine="encoder")) for name in names)


def asking(*inputs, **fields):
    return Request(model="find", texts=Texts(task=Task.EMBED, inputs=inputs, **fields))


@pytest.mark.parametrize(
    ("text", "encoder"), [("court clause", "law"), ("python loop", "code"), ("prime", "maths")]
)
async def test_a_query_goes_to_its_domain(folder, text, encoder):
    decision = await router(folder).route(asking(text), fleet(*world.TOPICS), NOBODY)
    assert decision.primary == encoder and len(decision.choices) == 3
    assert f"nearest to the questions of {encoder!r}" in decision.reason
    assert 1 / 3 < decision.confidence <= 1


async def test_only_who_is_there_is_chosen(folder):
    made = router(folder)
    assert (await made.route(asking("court"), fleet("maths", "x"), NOBODY)).primary == "maths"
    assert await made.route(asking("court"), fleet("x"), NOBODY) is None


async def test_a_query_of_no_sure_domain_goes_to_the_fallback(folder):
    sure = router(folder, fallback="base", min_confidence=0.5)
    unsure = router(folder, fallback="base", min_confidence=1)
    everybody = fleet(*world.TOPICS, "base")
    assert (await sure.route(asking("court clause"), everybody, NOBODY)).primary == "law"
    decision = await unsure.route(asking("court clause"), everybody, NOBODY)
    assert decision.experts[:2] == ("base", "law") and len(decision.experts) == 4
    assert "confidence is under 1; nearest to the questions of 'law'" in decision.reason
    assert (await unsure.route(asking("court"), fleet("law"), NOBODY)).primary == "law"
    assert (await sure.route(asking("court"), fleet("base"), NOBODY)).primary == "base"


async def test_domains_may_share_an_encoder(folder):
    made = router(folder, encoders={"law": "base", "maths": "base"})
    decision = await made.route(asking("court"), fleet("base", "code"), NOBODY)
    assert decision.experts == ("base", "code")


async def test_documents_need_an_encoder_of_their_own(folder):
    document = asking("court", role="document")
    with pytest.raises(RequestError, match="documents are searched by all of them: code, law"):
        await router(folder).route(document, fleet("base"), NOBODY)
    made = router(folder, documents="base")
    assert (await made.route(document, fleet("base"), NOBODY)).primary == "base"
    assert await made.route(document, fleet("law"), NOBODY) is None


@pytest.mark.parametrize(
    ("options", "encoding", "said"),
    [
        ({"fallback": "bas"}, (*world.TOPICS, "base"), "no encoder 'bas'. Did you mean 'base'"),
        ({}, ("law", "code"), "no encoder 'maths' for the domain 'maths'"),
        ({"documents": "bas"}, (*world.TOPICS, "base"), "no encoder 'bas'. Did you mean 'base'"),
        ({"encoders": {"lav": "law"}}, tuple(world.TOPICS), "no domain 'lav'. Did you mean 'law'"),
    ],
)
def test_faults_are_named(folder, options, encoding, said):
    with pytest.raises(ConfigError, match=said):
        router(folder, encoding, **options)
