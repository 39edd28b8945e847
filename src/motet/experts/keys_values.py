"""Bytes of keys and values that an architecture keeps for a context, from its `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motet.errors import SourceError

_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2, "fp8": 1, "float8_e4m3fn": 1}
_LINEAR = {"linear_attention", "mamba", "mamba2", "recurrent", "conv"}


def kv_bytes(config: Mapping[str, Any], tokens: int, width: int | None = None) -> int:
    """Return the bytes of keys and values of one sequence of `tokens` tokens.

    Counts grouped-query attention (fewer key heads than query heads), layers that see a sliding
    window (they keep the window only), layers with a state of fixed size (they keep none), and
    latent attention (DeepSeek-V2, arXiv:2405.04434: one compressed vector and a shared rotary key a
    token in place of keys and values).

    Parameters
    ----------
    config
        A transformers configuration; of a multimodal one its text part.
    width
        Bytes a number; the configuration's own dtype when absent.

    Raises
    ------
    KeyError
        The configuration lacks a field that every decoder has.
    """
    text = config.get("text_config", config)
    width = width or _WIDTHS.get(str(text.get("dtype") or text.get("torch_dtype")), 2)
    layers = int(text["num_hidden_layers"])
    if text.get("kv_lora_rank"):
        per_token = int(text["kv_lora_rank"]) + int(text["qk_rope_head_dim"])
        return layers * tokens * per_token * width
    heads = int(text["num_attention_heads"])
    keys = int(text.get("num_key_value_heads") or heads)
    size = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
    kept = sum(_kept(text, layer, tokens) for layer in range(layers))
    return kept * 2 * keys * size * width


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of the model in a folder.

    Raises
    ------
    SourceError
        There is none that can be read.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{folder / 'config.json'} cannot be read: {error}.") from error
    return config


def _kept(text: Mapping[str, Any], layer: int, tokens: int) -> int:
    """Return how many tokens' keys a layer keeps."""
    window = text.get("sliding_window")
    types = text.get("layer_types")
    if types:
        if types[layer] in _LINEAR:
            return 0
        slides = types[layer] == "sliding_attention"
    else:
        slides = bool(window) and text.get("use_sliding_window", True)
        pattern = text.get("sliding_window_pattern") or text.get("_sliding_window_pattern")
        if slides and pattern:  # every pattern-th layer sees everything (Gemma)
            slides = (layer + 1) % int(pattern) != 0
    return min(tokens, int(window)) if slides and window else tokens
