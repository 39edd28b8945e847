"""A small case of every kernel, for compute-sanitizer to watch."""

from __future__ import annotations

import torch
from benchmarks.gpu.correctness import Attention
from benchmarks.gpu.entries import KERNELS, entries_of, pinned
from benchmarks.gpu.products import Products


def main() -> None:
    """Run each kernel once, with the table's first entry."""
    products = Products(torch.bfloat16, False, 0, "cuda")
    for name in KERNELS:
        with pinned(name, entries_of(name, "bfloat16")[:1]):
            if name.endswith("projection"):
                products.run(name, "triton")
            else:
                Attention([(20, [33, 9])], name, "bfloat16", 64, 0, "cuda").ours()
    torch.cuda.synchronize()


if __name__ == "__main__":
    main()
