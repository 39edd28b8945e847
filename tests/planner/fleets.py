"""Experts and devices of so many GiB, and a config whose experts hold small models."""

import json

import numpy as np
from safetensors.numpy import save_file

from motet.config import parse
from motet.planner import Demand, Device, Machine

GIB = 2**30
CONFIG = """
version: 1
experts:
  - {id: base, engine: vllm, model: m, context: 512}
  - {id: tuned, engine: vllm, base: base, adapter: a, pinned: true}
  - {id: other, engine: transformers, model: m, context: 512}
  - {id: far, engine: openai, url: "http://127.0.0.1:9/v1", model: x}
"""


def machine(*sizes, host=0):
    return Machine(
        tuple(Device(f"d{n}", s * GIB, s * GIB) for n, s in enumerate(sizes)), host * GIB
    )


def demand(name, size, traffic=0.1, **fields):
    """Return an expert of `size` GiB in all."""
    return Demand(name, (size - 1) * GIB, 0, traffic, **{"engine": GIB, **fields})


def document_in(folder, text=CONFIG):
    """Return the document of a config whose model is in `folder`."""
    (folder / "m").mkdir()
    save_file({"w": np.zeros(1 << 20, np.float16)}, folder / "m" / "model.safetensors")
    about = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    (folder / "m" / "config.json").write_text(json.dumps({**about, "dtype": "float16"}))
    return parse(text, name="experts.yaml", folder=folder)
