"""What Motet mends in vLLM's worker on a CPU.

An engine names `CpuExtension` as its `worker_extension_cls`; its worker process imports this
module before it loads the model, and importing it is what counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from vllm.platforms.cpu import CpuPlatform
from vllm.v1.worker import cpu_worker
from vllm.v1.worker.cpu_model_runner import CPUModelRunner

from motet.deploy.pools import vllm_lora


class CpuExtension:
    """A name for `worker_extension_cls`."""


class SeededRunner(CPUModelRunner):  # type: ignore[misc]  # vLLM is not typed for us
    """vLLM's runner, whose seeded requests survive a prompt that is read in pieces.

    vLLM 0.32 samples for every request of a step and throws away what it drew for prompts that
    are not read to their end yet. It then turns the request's generator back by an offset, which
    generators of a CPU do not have: the engine dies. Here those requests draw from the common
    generator instead, so there is nothing to turn back, and a seed gives the same answer however
    its prompt was cut.
    """

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """Sample one step, without the generators of requests whose draw is thrown away."""
        generators = self.input_batch.generators
        unread = np.nonzero(self.discard_request_mask.np[: self.input_batch.num_reqs])[0]
        kept = {int(row): generators.pop(row) for row in unread if row in generators}
        try:
            return super().sample_tokens(*args, **kwargs)
        finally:
            generators.update(kept)


cpu_worker.CPUModelRunner = SeededRunner
CpuPlatform.get_punica_wrapper = classmethod(
    lambda cls: f"{vllm_lora.__name__}.{vllm_lora.StackedAdapters.__qualname__}"
)
