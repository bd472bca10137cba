# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny random models of every family, with tokenizers like theirs, written as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from vlo_ros.config import SYSTEM_PROMPT
from vlo_ros.connector import make_connector

CORPUS = [
    SYSTEM_PROMPT + '\n\n[',
    ']\nUser: What is happening now?\nAssistant: You pour water into the kettle.',
    ']\nAssistant: You look around, then wait.',
    '\nUser: Where did I put the cup?\nAssistant: On the table.\n[',
] * 3
# Where each family's tokenizer parts a text before it merges.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r'|\s*[\r\n]+|\s+(?!\S)|\s+'
)
QWEN_SPLIT = LLAMA3_SPLIT.replace('{1,3}', '')
TEKKEN_SPLIT = (
    r'[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+'
    r'|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*'
    r'|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+'
)
SIZES = {
    'hidden_size': 32,
    'intermediate_size': 48,
    'num_hidden_layers': 2,
    'num_attention_heads': 4,
    'num_key_value_heads': 2,
    'max_position_embeddings': 512,
}
LLAMA3_ROPE = {
    'rope_type': 'llama3',
    'rope_theta': 10000.0,
    'factor': 8.0,
    'low_freq_factor': 1.0,
    'high_freq_factor': 4.0,
    'original_max_position_embeddings': 256,
}
# name: (config class, model class, its settings, tokenizer)
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    'llama': (LlamaConfig, LlamaForCausalLM, {}, 'llama3'),
    'llama3_rope': (LlamaConfig, LlamaForCausalLM, {'rope_parameters': LLAMA3_ROPE}, 'llama3'),
    'mistral_sentencepiece': (MistralConfig, MistralForCausalLM, {}, 'sentencepiece'),
    'mistral_tekken': (
        MistralConfig,
        MistralForCausalLM,
        {'head_dim': 16, 'sliding_window': None},
        'tekken',
    ),
    'qwen2': (Qwen2Config, Qwen2ForCausalLM, {'tie_word_embeddings': True}, 'qwen'),
    'qwen3': (Qwen3Config, Qwen3ForCausalLM, {'head_dim': 16}, 'qwen'),
}


def byte_level(split: str) -> Tokenizer:
    """A byte-level BPE tokenizer."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), 'isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentencepiece(every_run: bool = True) -> Tokenizer:
    """A tokenizer that puts a space before every run of text, or the first, and knows bytes."""
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token='<unk>', fuse_unk=True))
    if every_run:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend('\u2581'), normalizers.Replace(' ', '\u2581')]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first', split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace('\u2581', ' '),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(' ', 1, 0),
        ]
    )
    tokens = ['<unk>', *(f'<0x{byte:02X}>' for byte in range(256))]
    trainer = BpeTrainer(vocab_size=700, special_tokens=tokens, show_progress=False)
    # As sentencepiece trains: words one by one, a newline never inside one.
    words = [word for line in CORPUS for word in line.split()]
    tokenizer.train_from_iterator([*words, *',][' * 50], trainer)
    return tokenizer


def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of the given kind, with the special tokens of its family."""
    if kind.startswith('sentencepiece'):
        model = sentencepiece(every_run=kind == 'sentencepiece')
        return PreTrainedTokenizerFast(
            tokenizer_object=model, bos_token='<s>', eos_token='</s>', unk_token='<unk>'
        )
    if kind == 'tekken':
        return PreTrainedTokenizerFast(
            tokenizer_object=byte_level(TEKKEN_SPLIT), bos_token='<s>', eos_token='</s>'
        )
    if kind == 'qwen':
        return PreTrainedTokenizerFast(
            tokenizer_object=byte_level(QWEN_SPLIT),
            eos_token='<|im_end|>',
            additional_special_tokens=['<|im_start|>', '<|endoftext|>'],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level(LLAMA3_SPLIT),
        bos_token='<|begin_of_text|>',
        eos_token='<|eot_id|>',
    )


def make_llm(name: str, folder: Path) -> None:
    """Write a random language model of a family and its tokenizer."""
    config_class, model_class, settings, kind = FAMILIES[name]
    tokenizer = make_tokenizer(kind)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(len(name))
    config = config_class(
        **{**SIZES, **settings},
        vocab_size=len(tokenizer),
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    model_class(config).eval().save_pretrained(folder)


def make_tower(name: str, folder: Path) -> None:
    """Write a random vision tower, 'siglip' or 'clip': 4 x 4 patches of 32 dims."""
    sizes = {
        'hidden_size': 32,
        'intermediate_size': 48,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'image_size': 32,
        'patch_size': 8,
    }
    torch.manual_seed(1)
    if name == 'siglip':
        SiglipVisionModel(SiglipVisionConfig(**sizes)).save_pretrained(folder)
    else:
        CLIPVisionModel(CLIPVisionConfig(**sizes)).save_pretrained(folder)


def make_model_folders(root: Path, family: str = 'llama', tower: str = 'siglip') -> dict[str, str]:
    """Write a whole model; return the settings that load it."""
    make_llm(family, root / 'llm')
    make_tower(tower, root / 'vision')
    torch.manual_seed(2)
    connector = make_connector(32, SIZES['hidden_size'])
    save_file(connector.state_dict(), root / 'connector.safetensors')
    return {
        'llm': str(root / 'llm'),
        'vision': str(root / 'vision'),
        'connector': str(root / 'connector.safetensors'),
    }


class PickleBomb:
    """In place of a pickle of weights: the test fails that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ('a pickle was read',))
