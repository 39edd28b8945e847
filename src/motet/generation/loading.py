"""Models of transformers: loaded from a source's name, and what one is given to read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motet.config import ExpertEntry
from motet.errors import ConfigError, ContextLengthExceeded, ExpertRejected, SourceError
from motet.files import read_text
from motet.types import Message, Request, message_texts
from motet.weights import Setting, fetch
from motet.weights.turns import TRANSFORMERS

_COMMON_LENGTH = 4
"""Characters of a token in plain English: texts of fewer a token are made tokens of at once."""


def load_model(
    name: str, setting: Setting, dtype: str, device: str, adapters: Sequence[Path] = ()
) -> tuple[Any, Any]:
    """Return the model and the tokenizer of a source, in evaluation mode on its device.

    Parameters
    ----------
    name
        As in `motet.weights.fetch`.
    dtype
        `auto` or a torch dtype's name; see `_dtype`.
    device
        `auto` or a torch device's name.
    adapters
        Folders of LoRA adapters to merge into the weights, one after the other.

    Raises
    ------
    SourceError
        Weights cannot be had, or do not load.
    """
    # Threads of a matrix product that spin while they wait take the core from the thread they
    # wait for, once anything else runs here: tokens then take seconds. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with TRANSFORMERS:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    source = fetch(name, setting)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with TRANSFORMERS:
            tokenizer = AutoTokenizer.from_pretrained(source)
            own = AutoConfig.from_pretrained(source).get_text_config(decoder=True).dtype
            # In its format at once: a cast afterwards would also round what stays in float32 in
            # every format, such as the rotary frequencies, and hold weights twice meanwhile.
            model = AutoModelForCausalLM.from_pretrained(source, dtype=_dtype(dtype, own, device))
    except (OSError, ValueError, ImportError) as error:  # how transformers says it cannot
        raise SourceError(f"Model {name!r} cannot be loaded: {error}") from error
    model = model.to(device)
    for adapter in adapters:
        model = _merged(model, setting.folder / adapter.expanduser())
    return model.eval(), tokenizer


def release(model: Any) -> None:
    """Free the weights of a model that nobody runs any more, and ever will.

    Models hold themselves in circles, and the collector comes when it likes: while it is at one on
    some thread, asking for it on another does nothing.
    """
    model.to("meta")


def _merged(model: Any, adapter: Path) -> Any:
    with TRANSFORMERS:
        from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():  # a .bin is a pickle, never read
        raise SourceError(f"{adapter} holds no adapter_model.safetensors.")
    try:
        with TRANSFORMERS:
            return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise SourceError(f"Adapter {str(adapter)!r} does not load: {error}") from error


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer, by generation config and tokenizer."""
    ends = model.generation_config.eos_token_id
    tokens = set(ends if isinstance(ends, list) else [ends]) | {tokenizer.eos_token_id}
    return frozenset(token for token in tokens if token is not None)


def read_template(entry: ExpertEntry, path: Path | None, setting: Setting) -> str | None:
    """Return the chat template that an expert's options name, or None.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    if path is None:
        return None
    try:
        return read_text(setting.folder / path.expanduser())
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"Expert {entry.id!r}: chat_template {str(path)!r} cannot be read: {reason}.",
            hint="Relative paths start at the config file's folder.",
        ) from error


def check_length(tokenizer: Any, request: Request, context: int | None, expert: str) -> None:
    """Refuse a request that no tokens can make fit, before the time is taken to make them.

    Raises
    ------
    ContextLengthExceeded
        Were all its tokens as long as the longest of the vocabulary, they would still be too many.
    """
    length = len(request.text)
    if context is None or length <= _COMMON_LENGTH * context:
        return
    fewest = length // max(map(len, tokenizer.get_vocab()))
    if fewest > context:
        raise ContextLengthExceeded(limit=context, wanted=fewest, expert=expert)


def write_chat(tokenizer: Any, template: str | None, request: Request, expert: str) -> str:
    """Return the messages of a request as the template, or the tokenizer's own, writes them.

    The template writes whatever special tokens the model wants, so a tokenizer shall add none.

    Raises
    ------
    ExpertRejected
        There is no template, or it refuses the messages.
    """
    from jinja2 import TemplateError

    if not (template or tokenizer.chat_template):
        raise ExpertRejected(
            expert, "it has no chat template.", hint="Set chat_template, or send a prompt."
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                [_plain(message) for message in request.messages],
                chat_template=template,
                add_generation_prompt=True,
                tokenize=False,
            )
        )
    except TemplateError as error:
        raise ExpertRejected(expert, f"its chat template refuses the messages: {error}.") from error


def _plain(message: Message) -> dict[str, Any]:
    """Return a message with its text as one string, which is what chat templates take."""
    return {**message, "content": "\n".join(message_texts(message))}


def number_format(device: str) -> str:
    """Return the name of the number format that small models train and run best in here."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return str(_dtype("auto", torch.bfloat16, device)).removeprefix("torch.")


def _dtype(wanted: str, own: Any, device: str) -> Any:
    """Return the torch dtype to run in; `own` is the config's, None where it names none.

    On a CPU with bfloat16 instructions that format is about twice as fast as float32, alone and
    in a batch, as decoding waits for memory; without them it is emulated, and slower.
    """
    import torch

    if wanted != "auto":
        return getattr(torch, wanted)
    if device != "cpu":
        return own or "auto"
    fast = torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast and own not in (None, torch.float32) else torch.float32
