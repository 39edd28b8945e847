"""Experts: one seam, `Expert.stream`, and one engine a file."""

from motet.experts.base import Expert
from motet.registry import Registry

ENGINES: Registry[Expert] = Registry(
    "engine",
    "motet.engines",
    {
        "anthropic": "motet.experts.anthropic:AnthropicExpert",
        "classifier": "motet.experts.classifier:ClassifierExpert",
        "encoder": "motet.experts.encoder:EncoderExpert",
        "encoder-pool": "motet.experts.encoder:PooledEncoder",
        "fake": "motet.experts.fake:FakeExpert",
        "fake-classifier": "motet.experts.fake_texts:FakeClassifier",
        "fake-encoder": "motet.experts.fake_texts:FakeEncoder",
        "fake-pool": "motet.experts.fake:PooledFake",
        "openai": "motet.experts.openai:OpenAIExpert",
        "openai-embeddings": "motet.experts.openai_embeddings:OpenAIEncoder",
        "transformers": "motet.experts.transformers:TransformersExpert",
        "vllm": "motet.experts.vllm:VllmExpert",
    },
)

__all__ = ["ENGINES", "Expert"]
