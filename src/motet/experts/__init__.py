"""Experts: one seam, `Expert.stream`, and one engine a file."""

from motet.experts.base import Expert
from motet.registry import Registry

ENGINES: Registry[Expert] = Registry(
    "engine",
    "motet.engines",
    {
        "encoder": "motet.experts.encoder:EncoderExpert",
        "fake": "motet.experts.fake:FakeExpert",
        "fake-encoder": "motet.experts.fake:FakeEncoder",
        "fake-pool": "motet.experts.fake:PooledFake",
        "openai": "motet.experts.openai:OpenAIExpert",
        "openai-embeddings": "motet.experts.openai_embeddings:OpenAIEncoder",
        "transformers": "motet.experts.transformers:TransformersExpert",
        "vllm": "motet.experts.vllm:VllmExpert",
    },
)

__all__ = ["ENGINES", "Expert"]
