"""Keys and values by architecture, against counts made by hand."""

import pytest

from motet.experts.keys_values import kv_bytes

LLAMA = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "dtype": "bfloat16",
}


def test_grouped_query_attention():
    # Llama 3 8B: 128 KiB a token in 16 bits.
    assert kv_bytes(LLAMA, 1) == 131_072
    assert kv_bytes(LLAMA, 8192) == 2**30
    assert kv_bytes(LLAMA, 1, width=1) == 65_536


def test_one_key_head_for_each_query_head_by_default():
    plain = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}
    assert kv_bytes(plain, 1) == 4 * kv_bytes(LLAMA, 1)


def test_layers_with_a_window_keep_the_window():
    gemma = LLAMA | {
        "num_hidden_layers": 6,
        "sliding_window": 512,
        "head_dim": 256,
        "num_key_value_heads": 1,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    }
    token = 2 * 256 * 2
    assert kv_bytes(gemma, 100) == 6 * 100 * token
    assert kv_bytes(gemma, 4096) == (5 * 512 + 4096) * token
    by_pattern = {k: v for k, v in gemma.items() if k != "layer_types"}
    assert kv_bytes(by_pattern | {"sliding_window_pattern": 6}, 4096) == kv_bytes(gemma, 4096)


def test_a_window_that_is_switched_off():
    qwen = LLAMA | {"sliding_window": 512, "use_sliding_window": False}
    assert kv_bytes(qwen, 4096) == kv_bytes(LLAMA, 4096)


def test_latent_attention_keeps_one_vector():
    deepseek = LLAMA | {"kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert kv_bytes(deepseek, 10) == 32 * 10 * 576 * 2


def test_layers_with_a_state_keep_nothing():
    hybrid = LLAMA | {"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8}
    assert kv_bytes(hybrid, 64) == kv_bytes(LLAMA, 64) // 4


def test_the_text_part_of_a_multimodal_model():
    assert kv_bytes({"text_config": LLAMA}, 5) == kv_bytes(LLAMA, 5)


def test_a_configuration_without_layers():
    with pytest.raises(KeyError):
        kv_bytes({}, 1)
