"""An encoder of sentence-transformers as one OpenVINO model: tokens in, vectors of length one out.

Run as `python -m motet.encoders.conversion FOLDER OUT`, in a process of its own. Motet converts the
loaded model itself: the packages by which sentence-transformers would do it ask for older releases
of transformers than the engines need.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motet.encoders.openvino import FACTS, MODEL, TOKENIZER, CompiledEncoder

_SAMPLES = (
    "Where do swallows go in winter?",
    "  two\tlines,\nand WHITE space  ",
    "",
    "日本語の文章 — mit Umlauten: äöü, et des accents: éàç",
    "def add(a, b):\n    return a + b",
    "word " * 3000,
)
_ALIKE = 0.999


def convert(folder: Path, out: Path) -> None:
    """Write the encoder of `folder` to `out`, as `CompiledEncoder` loads it.

    Raises
    ------
    RuntimeError
        Its vectors are then others, such as those of a model whose texts are given a prompt.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.set_verbosity_error()  # a tracer touches more of a model than a user does
    logging.disable_progress_bar()
    model = SentenceTransformer(str(folder), device="cpu").eval()
    features = model.preprocess(["one", "two words"])
    names = [name for name, value in features.items() if isinstance(value, Tensor)]
    inputs = tuple(features[name] for name in names)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # about branches on shapes
        made = openvino.convert_model(_Vectors(model, names), example_input=inputs)
    for given, name in zip(made.inputs, names, strict=True):
        given.get_tensor().set_names({name})
        given.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
    made.validate_nodes_and_infer_types()
    openvino.save_model(made, out / MODEL, compress_to_fp16=False)
    tokenizer: Any = model.tokenizer
    tokenizer.backend_tokenizer.save(str(out / TOKENIZER))
    padding = {
        "direction": tokenizer.padding_side,
        "pad_id": tokenizer.pad_token_id,
        "pad_type_id": tokenizer.pad_token_type_id,
        "pad_token": tokenizer.pad_token,
    }
    width = model.get_embedding_dimension()
    facts = {"width": width, "tokens": model.max_seq_length, "padding": padding}
    (out / FACTS).write_text(json.dumps(facts))
    expected = model.encode(list(_SAMPLES), normalize_embeddings=True, show_progress_bar=False)
    least = float((CompiledEncoder(out).encode(_SAMPLES) * expected).sum(1).min())
    if not least > _ALIKE:
        raise RuntimeError(f"its vectors would be others (a cosine of {least:.3f} to torch's)")


class _Vectors(nn.Module):
    """An encoder as the tracer wants it: tensors by position in, one tensor out."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self._model, self._names = model, names

    def forward(self, *tensors: Tensor) -> Tensor:
        features = self._model(dict(zip(self._names, tensors, strict=True)))
        return nn.functional.normalize(features["sentence_embedding"], dim=-1)


if __name__ == "__main__":
    convert(*map(Path, sys.argv[1:]))
