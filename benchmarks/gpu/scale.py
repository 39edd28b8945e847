"""How large everything is: on a GPU, and in a dry run under Triton's interpreter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of all parts.

    Attributes
    ----------
    device
        Torch's name of it.
    dtype
        That serving uses.
    longest
        Most tokens of a request; lengths are log-uniform from `shortest` on.
    requests
        Sizes of a batch, the most telling first.
    experts
        Members of a fleet, the usual number first.
    widths
        Hidden sizes, expert by expert.
    copied, multiplied
        Bytes of the copy and side of the matrix product that the rooflines stand on.
    members
        Width and layers of the two members of the fused engine.
    vocabulary, prompt
        Of these members, in tokens.
    rows
        Answers that are written at once.
    steps
        Tokens a row while timed.
    """

    device: str
    dtype: str
    shortest: int
    longest: int
    requests: tuple[int, ...]
    experts: tuple[int, ...]
    widths: tuple[int, ...]
    copied: int
    multiplied: int
    members: tuple[tuple[int, int], ...]
    vocabulary: int
    prompt: int
    rows: tuple[int, ...]
    steps: int

    @property
    def dry(self) -> bool:
        """Whether nothing here is worth timing."""
        return self.device == "cpu"


GPU = Scale(
    device="cuda",
    dtype="bfloat16",
    shortest=16,
    longest=8192,
    requests=(32, 8, 1, 128, 256),
    experts=(4, 2, 8),
    widths=(2048, 4096, 1024, 8192, 3072, 1536, 5120, 2560),
    copied=2**30,
    multiplied=8192,
    members=((2048, 16), (1792, 20)),
    vocabulary=32_000,
    prompt=512,
    rows=(1, 8, 32),
    steps=24,
)

DRY = Scale(
    device="cpu",
    dtype="float32",
    shortest=3,
    longest=40,
    requests=(2, 1),
    experts=(3, 2),
    widths=(16, 48, 32),
    copied=2**20,
    multiplied=64,
    members=((64, 4), (128, 4)),
    vocabulary=300,
    prompt=24,
    rows=(1, 2),
    steps=2,
)
