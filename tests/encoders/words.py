"""A sentence-transformers folder whose encoder is one random vector a word."""

import numpy as np

WORDS = "sail rope mast wind court judge statute appeal add plus number digit a the of what is"


def word_encoder(folder, width=16, seed=0):
    """Write the encoder to `folder`, and return it as a text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", *WORDS.split()]
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(seed).normal(size=(len(words), width)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    (folder / "config.json").write_text("{}")  # what makes a folder a model's
    return str(folder)
