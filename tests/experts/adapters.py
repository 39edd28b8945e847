"""Adapters and their base, for the tests of configs and experts."""

import json
from pathlib import Path

VLLM = "version: 1\nexperts:\n  - {id: m, engine: vllm, model: org/name}\n"


ADAPTER = VLLM + "  - {id: b, engine: vllm, base: m, adapter: ads/x}\n"


def write_adapter(folder: Path, **about: object) -> Path:
    folder.mkdir(parents=True)
    said = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "org/name", **about}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    (folder / "adapter_model.safetensors").touch()
    return folder
