"""The tuning table compiled for Hopper, where there is none: registers, spills, shared memory.

    TRITON_INTERPRET=0 python -m benchmarks.gpu.compiled

Triton brings the compiler and the assembler; only running needs the device. What a first look at
the result tells: an entry that spills, one that does not fit, and a loop whose loads are not
fetched ahead, which then claims the shared memory of one stage alone.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from benchmarks.gpu.entries import KERNELS, entries_of
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from motet.kernels.triton.shared import COLUMNS
from motet.kernels.triton.tuning import TUNED

HOPPER = GPUTarget("cuda", 90, 32)

MOST_SHARED = 232_448
"""Bytes of shared memory that one program may have: 227 KB."""

TYPES = {
    **dict.fromkeys(("q", "k", "v", "out", "packed", "fused"), "*{}"),
    **dict.fromkeys(("bias", "part", "lse", "opened"), "*fp32"),
    **dict.fromkeys(("visible", "work", "key_start"), "*i32"),
    **dict.fromkeys(("rows", "table"), "*i64"),
    "scale_log2": "fp32",
}
"""Of the kernels' arguments; all others are integers."""

SHORT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


@dataclass(frozen=True)
class KernelUse:
    """What a program takes: 32-bit registers and stack bytes a thread, shared bytes in all.

    What spills from registers lies on the stack.
    """

    registers: int
    stack: int
    shared: int


def compiled(name: str, entry: Mapping[str, int], dtype: str, width: int = 64) -> KernelUse:
    """Compile a kernel as the usual call would: 128 queries a tile, weighted peers, 4 experts."""
    kernel = TUNED[name].fn
    fixed: dict[str, Any] = {
        "WIDTH": width,
        "BLOCK_D": width,
        "BLOCK_Q": 128,
        "HAS_BIAS": name in ("prefill", "decode"),
        "EXPERTS": 4,
        "COLUMNS": COLUMNS,
        "WIDEN": False,
        "ALIGNED": True,
        **{key: value for key, value in entry.items() if key.startswith("BLOCK_")},
    }
    signature, constants, attributes = {}, {}, {}
    for at, argument in enumerate(kernel.arg_names):
        if argument in fixed:
            signature[argument] = "constexpr"
            constants[(at,)] = fixed[argument]
            continue
        signature[argument] = TYPES.get(argument, "i32").format(SHORT[dtype])
        if argument not in ("scale_log2", "splits"):  # rows and heads begin at 16 bytes
            attributes[(at,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constants, attributes)
    options = {name: entry[name] for name in ("num_warps", "num_stages")}
    made = triton.compile(source, target=HOPPER, options=options)
    return KernelUse(*_registers_and_stack(made.asm["cubin"]), made.metadata.shared)


def _registers_and_stack(cubin: bytes) -> tuple[int, int]:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "--dump-resource-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = re.search(r"REG:(\d+) STACK:(\d+)", said)
    if used is None:
        raise ValueError(f"cuobjdump says nothing of registers: {said[-300:]}")
    return int(used[1]), int(used[2])


def main() -> None:
    """Print what every entry takes."""
    for name in KERNELS:
        for dtype in ("bfloat16", "float32"):
            for entry in entries_of(name, dtype):
                for width in (64,) if name.endswith("projection") else (64, 128):
                    print(name, dtype, width, dict(entry), compiled(name, entry, dtype, width))


if __name__ == "__main__":
    main()
