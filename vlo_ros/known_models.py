# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of the published models that config/models names: sizes without a download.

From their config.json on the hub. Used only where the model itself is not on this machine.
"""

from __future__ import annotations

from typing import Any

# Key: hub name. Value: `model_type` and what of the config decides sizes.
KNOWN_MODELS: dict[str, dict[str, Any]] = {
    'meta-llama/Meta-Llama-3-8B-Instruct': {
        'model_type': 'llama',
        'vocab_size': 128_256,
        'hidden_size': 4096,
        'intermediate_size': 14_336,
        'num_hidden_layers': 32,
        'num_attention_heads': 32,
        'num_key_value_heads': 8,
        'max_position_embeddings': 8192,
        'tie_word_embeddings': False,
    },
    'mistralai/Mistral-7B-Instruct-v0.3': {
        'model_type': 'mistral',
        'vocab_size': 32_768,
        'hidden_size': 4096,
        'intermediate_size': 14_336,
        'num_hidden_layers': 32,
        'num_attention_heads': 32,
        'num_key_value_heads': 8,
        'max_position_embeddings': 32_768,
        'sliding_window': None,
        'tie_word_embeddings': False,
    },
    'Qwen/Qwen2.5-7B-Instruct': {
        'model_type': 'qwen2',
        'vocab_size': 152_064,
        'hidden_size': 3584,
        'intermediate_size': 18_944,
        'num_hidden_layers': 28,
        'num_attention_heads': 28,
        'num_key_value_heads': 4,
        'max_position_embeddings': 32_768,
        'use_sliding_window': False,
        'tie_word_embeddings': False,
    },
    'google/siglip-large-patch16-384': {
        'model_type': 'siglip_vision_model',
        'hidden_size': 1024,
        'intermediate_size': 4096,
        'num_hidden_layers': 24,
        'num_attention_heads': 16,
        'image_size': 384,
        'patch_size': 16,
    },
    'openai/clip-vit-large-patch14-336': {
        'model_type': 'clip_vision_model',
        'hidden_size': 1024,
        'intermediate_size': 4096,
        'num_hidden_layers': 24,
        'num_attention_heads': 16,
        'image_size': 336,
        'patch_size': 14,
    },
}
