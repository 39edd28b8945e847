"""Members of a fusion: frozen language models of any decoder family, cut into stacks.

A member is a transformers model whose decoder keeps its layers in a list. After the last layer of
each stack a hook hands the hidden states to a visitor: one that keeps them, where the member reads
as a peer, or one that changes them, where it writes as the primary.

Shape suffixes: B rows, T tokens, F the member's hidden size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from motet.config import ExpertEntry
from motet.errors import ConfigError, ContextLengthExceeded, SourceError
from motet.fusion.card import MemberCard
from motet.fusion.text import Reading, check_offsets, read_request
from motet.generation.loading import check_length, end_tokens, load_model, read_template
from motet.types import Request
from motet.weights import Setting, fetch
from motet.weights.sizes import hub_folder
from motet.weights.turns import TRANSFORMERS
from motet.wording import did_you_mean

Visitor = Callable[[int, Tensor], "Tensor | None"]
"""Takes a level and hidden states [B, T, F] after its stack; returns others in their place."""

Part = TypeVar("Part", bound=torch.nn.Module)

_LAYER_LISTS = ("layers", "h", "blocks")
"""What families call the list of their decoder's layers."""

_LAST_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
"""What families call the norm behind the last layer."""


class FusionMember:
    """One frozen model and its tokenizer.

    One thread at a time may run it: the visitor is the member's own.

    Parameters
    ----------
    levels
        Stacks to cut the layers into, hence levels at which members meet.
    context
        Most tokens it reads and writes; the model's own when None.

    Raises
    ------
    ConfigError
        The tokenizer gives no offsets, or there are fewer layers than levels.
    """

    def __init__(
        self,
        id: str,
        model: Any,
        tokenizer: Any,
        *,
        levels: int,
        template: str | None = None,
        context: int | None = None,
    ) -> None:
        check_offsets(tokenizer, id)
        self.id = id
        self.model = model.requires_grad_(False)
        self.tokenizer = tokenizer
        self.template = template
        config = model.config.get_text_config(decoder=True)
        self.width: int = config.hidden_size
        self.context: int | None = context or getattr(config, "max_position_embeddings", None)
        self.ends = end_tokens(model, tokenizer)
        self.decoder = model.get_decoder()
        self.head = model.get_output_embeddings()
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self._visitor: Visitor | None = None
        for level, layer in enumerate(self._last_layers(levels)):
            layer.register_forward_hook(self._hook(level))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.model.device)

    def encode(self, request: Request, *, room: int = 0) -> Reading:
        """Return what the member reads of `request`.

        Raises
        ------
        ExpertRejected
            As in `read_request`.
        ContextLengthExceeded
            The prompt and `room` more tokens do not fit.
        """
        check_length(self.tokenizer, request, self.context, self.id)
        reading = read_request(self.tokenizer, self.template, request, self.id)
        wanted = len(reading.tokens) + room
        if self.context is not None and wanted > self.context:
            raise ContextLengthExceeded(limit=self.context, wanted=wanted, expert=self.id)
        return reading

    def encode_answer(self, request: Request, answer: str) -> list[int]:
        """Return the tokens of an answer to learn, its end included."""
        last = self.tokenizer.decode(self.encode(request).tokens)[-1:]
        # A template that ends in a word leaves the space before the answer to the answer.
        text = answer if last.isspace() or request.prompt is not None else f" {answer}"
        tokens = self.tokenizer(text, add_special_tokens=False).input_ids
        return [*tokens, self.tokenizer.eos_token_id]

    @contextmanager
    def visited(self, visitor: Visitor) -> Iterator[None]:
        """Let `visitor` see, and change, the hidden states of what runs within the block."""
        self._visitor = visitor
        try:
            yield
        finally:
            self._visitor = None

    @torch.no_grad()
    def read(self, tokens: Sequence[int], draft: int = 0) -> tuple[list[Tensor], list[int]]:
        """Read a prompt alone, and write a greedy draft of at most `draft` tokens behind it.

        Returns
        -------
        hidden, drafted
            Hidden states [T, F] after each stack, the draft's own included, and its tokens.
        """
        kept: list[list[Tensor]] = []

        def keep(level: int, hidden_BTF: Tensor) -> None:
            kept.extend([] for _ in range(level + 1 - len(kept)))
            kept[level].append(hidden_BTF[0])

        drafted: list[int] = []
        cache, part = None, list(tokens)
        with self.visited(keep):
            while True:
                ids = torch.tensor([part], device=self.device)
                output = self.decoder(input_ids=ids, past_key_values=cache, use_cache=draft > 0)
                if len(drafted) == draft:
                    break
                cache = output.past_key_values
                token = int(self.logits(output.last_hidden_state[0, -1]).argmax())
                if token in self.ends:
                    break
                drafted.append(token)
                part = [token]
        return [torch.cat(parts) for parts in kept], drafted

    def embed(self, tokens: Sequence[int]) -> Tensor:
        """Return the mean of the tokens' embeddings, float32 [F]: a bag of words."""
        ids = torch.tensor(list(tokens), device=self.device)
        mean: Tensor = self.model.get_input_embeddings()(ids).float().mean(0)
        return mean

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits of the decoder's last hidden states [..., F]."""
        logits: Tensor = self.head(hidden).float()
        return logits if self._softcap is None else self._softcap * (logits / self._softcap).tanh()

    def last_gain(self) -> Tensor:
        """Return the gain of the norm before the logits, float32 [F], on the CPU.

        Raises
        ------
        ConfigError
            The decoder's last norm has none of the known names.
        """
        norm = _part(self.id, self.decoder, _LAST_NORMS, torch.nn.Module)
        # Mean 0 and size 1: norms of every kind return their gain, or its negative.
        signs_F = torch.ones(self.width, device=self.device, dtype=self.model.dtype)
        signs_F[1::2] = -1
        with torch.no_grad():
            gain_F: Tensor = norm(signs_F[None])[0] * signs_F
        return gain_F.float().cpu()

    def _last_layers(self, levels: int) -> Iterator[torch.nn.Module]:
        layers = _part(self.id, self.decoder, _LAYER_LISTS, torch.nn.ModuleList)
        if len(layers) < levels:
            raise ConfigError(
                f"Member {self.id!r}: {len(layers)} layers cannot be cut into {levels} stacks.",
                hint=f"Use at most {len(layers)} levels.",
            )
        for level in range(1, levels + 1):
            yield layers[round(level * len(layers) / levels) - 1]

    def _hook(self, level: int) -> Callable[..., Any]:
        def hook(module: Any, inputs: Any, output: Any) -> Any:
            if self._visitor is None:
                return None
            whole = isinstance(output, Tensor)  # some families return their hidden states first
            changed = self._visitor(level, output if whole else output[0])
            return changed if whole or changed is None else (changed, *output[1:])

        return hook


def _part(member: str, decoder: Any, names: Sequence[str], kind: type[Part]) -> Part:
    """Return the part of a decoder that has one of some names."""
    for name in names:
        part = getattr(decoder, name, None)
        if isinstance(part, kind):
            return part
    raise ConfigError(
        f"Member {member!r}: {type(decoder).__name__} has no {kind.__name__} under any of the "
        f"names {', '.join(names)}.",
        hint="Add the name it uses to motet.fusion.members.",
    )


def card_of_member(expert: str, entries: Mapping[str, ExpertEntry], setting: Setting) -> MemberCard:
    """Return where an expert of a config has its weights, with their revision and width.

    Raises
    ------
    ConfigError
        There is no such expert, or it has no weights that can be loaded here.
    SourceError
        Its weights cannot be had.
    """
    if expert not in entries:
        raise ConfigError(f"no expert {expert!r}. {did_you_mean(expert, entries)}")
    options = entries[expert].options
    own = entries.get(entries[expert].host, entries[expert]).options
    if "model" not in own:
        raise ConfigError(
            f"expert {expert!r} cannot be a member: its engine {entries[expert].engine!r} holds no "
            "weights here.",
            hint="Members are experts of the engines transformers and vllm.",
        )
    template = options.get("chat_template") or own.get("chat_template")
    card = MemberCard(
        id=expert,
        model=own["model"],
        adapter=str(options["adapter"]) if options.get("adapter") else None,
        chat_template=None if template is None else str(template),
        context=entries[expert].context,
    )
    return card.model_copy(
        update={"revision": revision_of(card, setting), "width": _width(card.model, setting)}
    )


def revision_of(card: MemberCard, setting: Setting) -> str:
    """Return a digest of everything that shapes a member's hidden states: weights and template.

    Raises
    ------
    SourceError, ConfigError
        Files cannot be had.
    """
    source = fetch(card.model, setting)
    folder = Path(source) if Path(source).is_dir() else hub_folder(source)
    files = [] if folder is None else sorted(folder.glob("*.safetensors"))
    if folder is None or not files:
        raise SourceError(f"Model {card.model!r} has no safetensors files on this machine.")
    if card.adapter is not None:
        files += [
            setting.folder / Path(card.adapter).expanduser() / name
            for name in ("adapter_config.json", "adapter_model.safetensors")
        ]
    state = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                state.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise SourceError(f"Member {card.id!r}: {error}.") from error
    entry = ExpertEntry(id=card.id, engine="latent")
    template = Path(card.chat_template) if card.chat_template else None
    state.update((read_template(entry, template, setting) or "").encode())
    return state.hexdigest()


def load_member(
    card: MemberCard,
    setting: Setting,
    *,
    levels: int,
    dtype: str = "auto",
    device: str = "auto",
    control: Path | None = None,
) -> FusionMember:
    """Load a member: its model with the adapter, if any, merged into it.

    Parameters
    ----------
    control
        Folder of another adapter, learnt on top of that, to merge after it.

    Raises
    ------
    SourceError
        Weights cannot be had, or the adapter does not fit.
    ConfigError
        As in `FusionMember`.
    """
    named = [] if card.adapter is None else [Path(card.adapter)]
    adapters = named if control is None else [*named, control.resolve()]
    model, tokenizer = load_model(card.model, setting, dtype, device, adapters)
    entry = ExpertEntry(id=card.id, engine="latent")
    template = Path(card.chat_template) if card.chat_template else None
    return FusionMember(
        card.id,
        model,
        tokenizer,
        levels=levels,
        template=read_template(entry, template, setting),
        context=card.context,
    )


def _width(model: str, setting: Setting) -> int:
    with TRANSFORMERS:
        from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(fetch(model, setting))
    except (OSError, ValueError) as error:
        raise SourceError(f"Model {model!r} cannot be loaded: {error}") from error
    return int(config.get_text_config(decoder=True).hidden_size)
