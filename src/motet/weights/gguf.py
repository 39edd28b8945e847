"""GGUF files made into what transformers and vLLM load: bfloat16 safetensors with a tokenizer.

The work is done by `python -m motet.weights.gguf SOURCE DESTINATION` in a process of its own:
dequantizing holds the model twice in memory, which a process that ends gives back whole; the
library is sped up by remembering what it reads again and again, which nobody else should see; and
a crash (out of memory, a malformed file) becomes an error of ours.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from motet.errors import SourceError
from motet.progress import Progress
from motet.weights.store import build_once, digest

_RECIPE = 2
"""Raised when conversion comes to give another result, so that caches are made again."""


def converted(source: Path, cache: Path, report: Progress) -> Path:
    """Return the folder with the safetensors form of a GGUF file, made on first use.

    Parameters
    ----------
    source
        The `.gguf` file.
    cache
        Root of the cache; the result stands below `models`, named after the file and its content.
    report
        Told about progress.

    Raises
    ------
    SourceError
        The file is not GGUF, or of an architecture that transformers cannot load.
    """
    with source.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise SourceError(
                f"{source} is not a GGUF file.",
                hint="Fetch it again; a pointer or an error page may stand in its place.",
            )
    content = digest(source)
    return build_once(
        cache / "models" / f"{source.stem}-{content[:12]}",
        f"{content}, recipe {_RECIPE}",
        functools.partial(_convert_in_child, source, report=report),
        report,
    )


def _convert_in_child(source: Path, destination: Path, *, report: Progress) -> None:
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TQDM_DISABLE": "1",
    }
    report("converting", 0, 0)
    # The child's standard input is a pipe that only we hold: when we die, it ends too.
    with (destination / "errors").open("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            [sys.executable, "-m", "motet.weights.gguf", str(source), str(destination)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as child:
            try:
                for line in child.stdout or ():
                    report(*json.loads(line))
            except BaseException:  # also on Ctrl-C: leave no converter behind
                child.kill()
                raise
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    if child.returncode:
        reason = lines[-1] if lines else "it said nothing"
        if child.returncode < 0:
            reason = f"it was ended by signal {-child.returncode}"
        raise SourceError(
            f"{source.name} cannot be converted to safetensors: {reason}.",
            hint="Is there memory for the model in 32 bits, and does transformers know its kind?",
        )
    (destination / "errors").unlink()


def convert(source: Path, destination: Path) -> None:
    """Convert in this process, printing progress as JSON lines of `[stage, done, total]`.

    Meant for a process of its own: names in the `gguf` package are replaced for good.
    """
    import gguf
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # transformers parses the whole file for each of config, tokenizer and weights, and builds the
    # name map once per module of the model: more than half of all the time.
    gguf.GGUFReader = functools.cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = functools.cache(gguf.get_tensor_name_map)
    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    _print_progress("reading the vocabulary", 0, 0)
    tokenizer = AutoTokenizer.from_pretrained(**place)
    config = AutoConfig.from_pretrained(**place)

    gguf.dequantize = _counted(gguf.dequantize, len(gguf.GGUFReader(str(source)).tensors))
    model = AutoModelForCausalLM.from_pretrained(
        **place,
        config=config,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    _print_progress("writing", 0, 0)
    model.save_pretrained(destination)
    field = gguf.GGUFReader(str(source)).get_field("tokenizer.ggml.add_bos_token")
    if field is not None and bool(field.contents()):
        _begin_with_bos(tokenizer)
    tokenizer.save_pretrained(destination)


def _begin_with_bos(tokenizer: Any) -> None:
    """Let the tokenizer put its first token in front of plain prompts, as the file asks for.

    transformers forgets that; chat templates write the token themselves.
    """
    from tokenizers.processors import TemplateProcessing

    bos = tokenizer.bos_token
    if bos is None or tokenizer("x").input_ids[0] == tokenizer.bos_token_id:
        return
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {bos} $B",
        special_tokens=[(bos, tokenizer.bos_token_id)],
    )


def _counted(dequantize: Any, total: int) -> Any:
    done = 0

    def counted(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        _print_progress("converting", done, total)
        return dequantize(*arguments)

    return counted


def _print_progress(stage: str, done: float, total: float) -> None:
    print(json.dumps([stage, done, total]), flush=True)


def _end_with_parent() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock would abort a shutdown while we wait
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
