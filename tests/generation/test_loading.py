"""Weights in the number format that is asked for, and what a model is given to read."""

from pathlib import Path

import pytest
import torch
import transformers
from tests.generation.world import SETTING

from motet.config import ExpertEntry, Setting
from motet.errors import ConfigError, ContextLengthExceeded, ExpertRejected, SourceError
from motet.generation.loading import (
    check_length,
    end_tokens,
    load_model,
    number_format,
    read_template,
    release,
    write_chat,
)
from motet.types import Request

ENTRY = ExpertEntry(id="tiny", engine="transformers")
CHAT = Request(
    model="tiny",
    messages=({"role": "user", "content": [{"type": "text", "text": t} for t in ("one", "two")]},),
)


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_sixteen_bits_are_those_of_transformers(tiny, kind):
    model, _ = load_model(str(tiny[kind]), SETTING, "bfloat16", "cpu")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tiny[kind], dtype=torch.bfloat16)
    tokens = torch.arange(200)[None] % 250
    with torch.inference_mode():
        ours, same = model(tokens).logits, theirs.eval()(tokens).logits
    assert model.dtype == torch.bfloat16
    assert torch.equal(ours, same)  # rounded frequencies would turn late positions wrongly


def test_auto_is_a_format_that_a_cpu_is_fast_in():
    assert number_format("cpu") in ("float32", "bfloat16")


def test_weights_that_do_not_load_are_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SourceError, match="cannot be loaded"):
        load_model(str(tmp_path), SETTING, "auto", "cpu")


def test_released_weights_hold_no_memory(tiny):
    model, _ = load_model(str(tiny["llama"]), SETTING, "float32", "cpu")
    release(model)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


def test_either_the_model_or_the_tokenizer_ends_an_answer(tiny):
    model, tokenizer = load_model(str(tiny["llama"]), SETTING, "float32", "cpu")
    assert end_tokens(model, tokenizer) == {1}
    model.generation_config.eos_token_id = [3, 4]
    assert end_tokens(model, tokenizer) == {1, 3, 4}
    model.generation_config.eos_token_id = tokenizer.eos_token = None
    assert end_tokens(model, tokenizer) == set()


def test_templates_are_read_from_the_folder_of_the_config(tmp_path):
    setting = Setting(tmp_path, SETTING.cache)
    (tmp_path / "own.jinja").write_text("{{ messages }}")
    assert read_template(ENTRY, None, setting) is None
    assert read_template(ENTRY, Path("own.jinja"), setting) == "{{ messages }}"
    with pytest.raises(ConfigError, match="'tiny': chat_template 'other.jinja' cannot be read"):
        read_template(ENTRY, Path("other.jinja"), setting)


def test_messages_are_written_as_plain_text(tiny):
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny["llama"])
    assert write_chat(tokenizer, None, CHAT, "tiny") == "user: one\ntwo\nassistant:"
    assert write_chat(tokenizer, "{{ messages[0].content }}", CHAT, "tiny") == "one\ntwo"
    with pytest.raises(ExpertRejected, match="roles must alternate"):
        write_chat(tokenizer, "{{ raise_exception('roles must alternate') }}", CHAT, "tiny")
    tokenizer.chat_template = None
    with pytest.raises(ExpertRejected, match="no chat template"):
        write_chat(tokenizer, None, CHAT, "tiny")


def test_a_text_that_no_tokens_can_make_fit_is_refused_before_they_are_made(tiny):
    _, tokenizer = load_model(str(tiny["llama"]), SETTING, "float32", "cpu")
    longest = max(map(len, tokenizer.get_vocab()))
    limit = 8

    class Counting:
        """The tokenizer, which must make no tokens here."""

        get_vocab = staticmethod(tokenizer.get_vocab)

    for length, fits in ((longest * limit, True), (longest * (limit + 1), False)):
        request = Request(model="tiny", prompt="x" * length)
        check_length(Counting, request, None, "tiny")
        if fits:
            check_length(Counting, request, limit, "tiny")
            continue
        with pytest.raises(ContextLengthExceeded, match="'tiny' is 8 tokens, .* at least 9 "):
            check_length(Counting, request, limit, "tiny")
