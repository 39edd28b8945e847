"""The encoder's transformer compiled by OpenVINO: the same vectors, several times as fast on a CPU.

Motet compiles the loaded model itself. The packages by which sentence-transformers would do it ask
for older releases of transformers than the engines need.
"""

from __future__ import annotations

import sys
import warnings
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


class CompiledTransformer(nn.Module):
    """Stands in for the transformer of a `SentenceTransformer`, which keeps all else.

    Products are in bf16 where the core has it, as OpenVINO decides: the vectors of MiniLM then
    differ from torch's by a cosine of 0.99996 at the least (200 questions).

    Parameters
    ----------
    model
        A transformers model whose output has `last_hidden_state`.
    inputs
        What its `forward` is given, for two short texts of unequal length.
    """

    def __init__(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        # Importing OpenVINO reports to its makers, unless the package it reports with is absent.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino
        from transformers.utils import logging

        super().__init__()
        self.config = model.config
        self._names = tuple(inputs)
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()  # a tracer touches more of a model than a user does
        try:
            with warnings.catch_warnings(), torch.inference_mode():
                warnings.simplefilter("ignore")  # about branches on shapes
                converted = openvino.convert_model(
                    _States(model.eval(), self._names), example_input=tuple(inputs.values())
                )
        finally:
            logging.set_verbosity(verbosity)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._compiled = openvino.compile_model(converted, "CPU", settings)
        self._lock = Lock()

    def forward(self, **inputs: Any) -> dict[str, Tensor]:
        """Return `last_hidden_state` [texts, tokens, width]; inputs it was not made with go by."""
        arrays = [inputs[name].numpy() for name in self._names]
        with self._lock:  # a compiled model has one set of buffers
            (states,) = self._compiled(arrays).values()
            return {"last_hidden_state": torch.from_numpy(states.copy())}


class _States(nn.Module):
    """A model as the tracer wants it: tensors by position in, one tensor out."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self._model, self._names = model, names

    def forward(self, *tensors: Tensor) -> Tensor:
        states: Tensor = self._model(
            **dict(zip(self._names, tensors, strict=True)), return_dict=True
        ).last_hidden_state
        return states
