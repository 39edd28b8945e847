"""An engine on a tiny random model, and what its answers are."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from motet.config import ExpertEntry, Setting
from motet.generation.decoding import Vocabulary, candidates
from motet.generation.engine import GenerationEngine, Loaded
from motet.generation.loading import end_tokens, load_model
from motet.generation.options import GenerationOptions
from motet.generation.rows import ContinuousBatch, GenerationJob
from motet.types import Request
from motet.weights import default_cache

PROMPTS = ("a", "The quick brown fox", "naïve 🦊 café " * 3, "x" * 17, "one two three four five")
SETTING = Setting(Path.cwd(), default_cache())
CONTEXT = 256


def engine_of(folder, *, load=load_model, **options) -> GenerationEngine:
    """Return the engine of one model, which takes prompts; `load` is called as `load_model` is."""
    chosen = GenerationOptions(**options)

    def loaded(keep):
        model, tokenizer = load(str(folder), SETTING, chosen.dtype, chosen.device)
        keep(model)
        batch, vocabulary = ContinuousBatch(model), Vocabulary(tokenizer)
        ends = end_tokens(model, tokenizer)

        def job(request, loop):
            prompt = tokenizer(request.prompt).input_ids
            sampling = chosen.sampling(request, len(prompt), CONTEXT, "tiny")
            answers = candidates(vocabulary, ends, sampling, prompt, request.n)
            return GenerationJob(batch, prompt, answers, request.stream, loop)

        return Loaded([batch], job, chosen.max_batch)

    return GenerationEngine(ExpertEntry(id="tiny", engine="transformers"), chosen, loaded)


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
