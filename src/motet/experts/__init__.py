"""Experts: one seam, `Expert.stream`, and one engine a file."""

from motet.experts.base import Expert
from motet.registry import Registry

ENGINES: Registry[Expert] = Registry(
    "engine",
    "motet.engines",
    {
        "anthropic": "motet.experts.anthropic:AnthropicExpert",
        "fake": "motet.experts.fake:FakeExpert",
        "fake-pool": "motet.experts.fake:PooledFake",
        "openai": "motet.experts.openai:OpenAIExpert",
        "transformers": "motet.experts.transformers:TransformersExpert",
        "vllm": "motet.experts.vllm:VllmExpert",
    },
)

__all__ = ["ENGINES", "Expert"]
