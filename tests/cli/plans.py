"""A config whose models are made here: a head of safetensors and a configuration."""

import json

import numpy as np
from safetensors.numpy import save_file

CONFIG = """
version: 1
experts:
  - {id: small, engine: transformers, model: small, context: 1000}
  - {id: large, engine: vllm, model: large, context: 1000}
  - {id: tuned, engine: vllm, base: large, adapter: tuned}
  - {id: remote, engine: openai, url: "http://127.0.0.1:9/v1", model: x}
"""


def folder_of(tmp_path):
    """Fill a folder with a config and its models; return it."""
    for name, numbers in (("small", 1 << 20), ("large", 4 << 20)):
        (tmp_path / name).mkdir()
        save_file({"w": np.zeros(numbers, np.float16)}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(
            json.dumps(
                {
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "hidden_size": 64,
                    "dtype": "float16",
                }
            )
        )
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 8, "base_model_name_or_path": "large"})
    )
    save_file({"a": np.zeros(1, np.float16)}, tmp_path / "tuned" / "adapter_model.safetensors")
    (tmp_path / "experts.yaml").write_text(CONFIG)
    return tmp_path
