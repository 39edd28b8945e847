"""Rows of one model: a prompt read alone, then a token a row, and no row changes another."""

import asyncio

import pytest
from tests.generation.world import PROMPTS, SETTING, answer, ask, engine_of, reference

from motet.generation.decoding import Sampling, Vocabulary, candidates
from motet.generation.loading import end_tokens, load_model
from motet.generation.rows import ContinuousBatch, GenerationJob, can_batch


class CollectingJob(GenerationJob):
    """A job whose chunks are kept, as no event loop waits for them."""

    def send(self, item):
        self.chunks.put_nowait(item)

    @property
    def text(self):
        return "".join(self.chunks.get_nowait().text for _ in range(self.chunks.qsize()))


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
async def test_alone_and_together_it_answers_like_generate(tiny, kind):
    engine = engine_of(tiny[kind], max_batch=4)
    await engine.start()
    try:
        alone = [await answer(engine, ask(prompt)) for prompt in PROMPTS]
        together = await asyncio.gather(*(answer(engine, ask(p)) for p in PROMPTS))
    finally:
        await engine.close()
    for prompt, lone, shared in zip(PROMPTS, alone, together, strict=True):
        made, text = reference(tiny[kind], prompt)
        assert lone[2].completion_tokens == len(made)
        assert lone[0][0] == text.rstrip("\ufffd")
        assert (lone[0], lone[1], lone[2]) == (shared[0], shared[1], shared[2])


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_a_long_prompt_is_read_in_parts(tiny, kind):
    model, tokenizer = load_model(str(tiny[kind]), SETTING, "float32", "cpu")
    vocabulary, ends = Vocabulary(tokenizer), end_tokens(model, tokenizer)
    prompt = tokenizer("abcdefgh" * 10).input_ids

    def answered(batch):
        answers = candidates(vocabulary, ends, Sampling(12, temperature=0.0), prompt, 1)
        job = CollectingJob(batch, prompt, answers, False, None)
        pauses = len(list(batch.read(job)))
        while batch.rows:
            batch.step()
        return pauses, job.text

    none, whole = answered(ContinuousBatch(model))
    pauses, in_parts = answered(ContinuousBatch(model, stretch=7))
    assert (none, pauses) == (0, len(prompt) // 7)
    assert in_parts == whole


def test_models_with_plain_attention_share_a_batch(tiny):
    for kind in tiny:
        assert can_batch(load_model(str(tiny[kind]), SETTING, "float32", "cpu")[0])


async def test_whole_answers_come_in_one_chunk_a_choice(llama):
    *_, chunks = await answer(llama, ask(n=2, stream=False, temperature=1.0, seed=3))
    assert len(chunks) == 2
