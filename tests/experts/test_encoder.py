"""An encoder as a member of the fleet: batches, bounds, dimensions, domains."""

import asyncio

import numpy as np
import pytest
from tests.encoders.test_domains import domains
from tests.routers.learned import world

from motet.composer.assembly import assemble
from motet.config import ExpertEntry, Setting, parse
from motet.encoders.live import Live
from motet.errors import ArtifactError, ConfigError, ExpertUnavailable, InputTooLong, RequestError
from motet.experts.build import build
from motet.types import Request, State, Task, Texts


class Words(world.FakeEncoder):
    """Reads eight words."""

    tokens = 8

    def count(self, texts):
        return [len(text.split()) for text in texts]


class Shelf:
    """The encoders of a service: one."""

    def __init__(self, encoder=None):
        self.encoder = encoder or Words()

    def live(self, name, backend):
        return Live(self.encoder, None)


async def started(shelf=None, folder=None, **options):
    entry = ExpertEntry(id="e", engine="encoder", **options)
    made = build(entry, Setting(folder, encoders=shelf or Shelf()))
    await made.start()
    return made


def texts(*inputs, **fields):
    said = Texts(task=Task.EMBED, inputs=inputs, **fields)
    return Request(model="e", texts=said)


async def embed(expert, *inputs, **fields):
    vectors, usage = [chunk async for chunk in expert.stream(texts(*inputs, **fields))]
    return np.stack(vectors.values), usage.usage


async def test_texts_become_vectors_and_tokens_are_counted():
    expert = await started()
    vectors, usage = await embed(expert, "court law", "sum", "court law")
    np.testing.assert_array_equal(vectors, world.ENCODER.encode(["court law", "sum", "court law"]))
    assert usage.prompt_tokens == 5 and usage.completion_tokens == 0
    await expert.close()


async def test_requests_share_batches():
    shelf = Shelf()
    expert = await started(shelf, batch=64)
    asked = [embed(expert, *(f"text {n} {m}" for m in range(8))) for n in range(8)]
    await asyncio.gather(*asked)
    assert sum(map(len, shelf.encoder.calls)) == 64 and len(shelf.encoder.calls) < 8


async def test_health_before_and_after_it_is_loaded():
    expert = build(ExpertEntry(id="e", engine="encoder"), Setting(None, encoders=Shelf()))
    assert (await expert.health()).state is State.STARTING
    with pytest.raises(ExpertUnavailable):
        await embed(expert, "a")
    await expert.start()
    assert (await expert.health()).ready
    with pytest.raises(RequestError, match="answers no chat"):
        await anext(expert.stream(Request(model="e", messages=({"role": "user"},))))


async def test_a_text_that_is_too_long_is_refused_unless_it_may_be_cut():
    long = "word " * 9
    with pytest.raises(InputTooLong, match=r"input\[1\]: 'e' reads 8 tokens .* has 9"):
        await embed(await started(), "short", long)
    _, usage = await embed(await started(truncate=True), long)
    assert usage.prompt_tokens == 8


async def test_token_ids_are_refused_by_name():
    with pytest.raises(RequestError, match=r"input\[1\]: 'e' takes texts, and no token ids"):
        await embed(await started(), "a", (1, 2))


async def test_dimensions_only_where_the_model_was_trained_for_them():
    expert = await started(matryoshka=[4])
    whole, _ = await embed(expert, "a b", dimensions=world.WIDTH)
    cut, _ = await embed(expert, "a b", dimensions=4)
    assert whole.shape == (1, world.WIDTH) and cut.shape == (1, 4)
    np.testing.assert_allclose(cut[0], whole[0, :4] / np.linalg.norm(whole[0, :4]), atol=1e-6)
    with pytest.raises(RequestError, match="have 4, 16 numbers. Got 5"):
        await embed(expert, "a", dimensions=5)


async def test_prompts_of_a_role():
    expert = await started(query_prompt="find ", document_prompt="")
    query, _ = await embed(expert, "a", role="query")
    plain, _ = await embed(expert, "find a")
    document, _ = await embed(expert, "a", role="document")
    np.testing.assert_array_equal(query, plain)
    assert not np.allclose(query, document)


async def test_a_domain_turns_queries_and_leaves_documents(tmp_path):
    made = domains()
    made.save(tmp_path / "d")
    expert = await started(folder=tmp_path, artifact="d", domain="sea")
    base = world.ENCODER.encode(["wind"])
    np.testing.assert_allclose((await embed(expert, "wind"))[0], made.turned(base, 1), atol=1e-6)
    np.testing.assert_array_equal((await embed(expert, "wind", role="document"))[0], base)
    with pytest.raises(ArtifactError, match="is another encoder"):
        await started(Shelf(Words("other")), folder=tmp_path, artifact="d", domain="sea")


CONFIG = """
version: 1
experts: [{id: echo, engine: fake}]
encoders:
  - {id: a, engine: encoder%s}
"""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (", artifact: d", r"experts.yaml:5: encoders\[0\].domain: artifact and domain go together"),
        (", artifact: d, domain: se", "no domain 'se'. Did you mean 'sea'?"),
        (", artifact: nowhere, domain: sea", "is no folder. Make it again: motet encoder fit"),
        (", matryoska: [4]", "Did you mean 'matryoshka'?"),
    ],
)
def test_faults_of_a_config_are_named(tmp_path, options, said):
    domains().save(tmp_path / "d")
    with pytest.raises(ConfigError, match=said):
        assemble(parse(CONFIG % options, folder=tmp_path))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("engine: fake}", "engine: fake-encoder}", "belongs in 'encoders'"),
        ("engine: encoder", "engine: fake", "belongs in 'experts'"),
        ("id: a,", "id: echo,", "encoder id 'echo' is taken on line 3"),
        (
            "engine: encoder}",
            "engine: encoder-pool}\nresidency: {memory: 1GiB}",
            "of experts alone",
        ),
    ],
)
def test_each_engine_stands_in_its_section(before, after, said):
    with pytest.raises(ConfigError, match=said):
        assemble(parse((CONFIG % "").replace(before, after, 1)))
