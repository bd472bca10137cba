# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recipe -> the model to train, its template and its tokenizer."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from training.cpu_attention import CPU_ATTENTION
from training.model import StreamModel, add_lora, init_connector
from training.recipe import ModelRecipe, Recipe, ScratchRecipe
from training.tokenizer import train_tokenizer
from training.whole_files import partial_path
from vlo_ros.adapter import attach_adapter
from vlo_ros.checkpoint import load_base, load_connector, local_folder
from vlo_ros.config import ModelConfig
from vlo_ros.connector import make_connector
from vlo_ros.errors import CheckpointError, ConfigError
from vlo_ros.language import family_of
from vlo_ros.template import Template

FRAME_TOKENS = {'live1+': 10, 'live1': 1}  # CLS + 3x3 pooled patches, CLS alone


@dataclass(frozen=True)
class Trainee:
    """What a training run works on.

    Attributes:
        model: The trainable model.
        template: The conversation format of its tokenizer.
        tokenizer_folder: The tokenizer's files, without the placeholder.
    """

    model: StreamModel
    template: Template
    tokenizer_folder: Path


def build_trainee(recipe: Recipe, features_dim: int, texts: Iterable[str]) -> Trainee:
    """Load or make what the recipe names, on the CPU; the trainer moves it.

    Args:
        recipe: The recipe.
        features_dim: Size of one vision feature.
        texts: What a tokenizer made from scratch is learned from.

    Raises:
        CheckpointError: Weights are missing or do not fit.
        ConfigError: The recipe asks for what cannot be had here.
    """
    if recipe.model.llm:
        model, tokenizer, folder = _load_pretrained(recipe.model, attention_of(recipe))
    else:
        folder = Path(recipe.output) / 'tokenizer'
        tokenizer = _scratch_tokenizer(recipe, folder, texts)
        model = _scratch_model(recipe.scratch, tokenizer, attention_of(recipe))
    model.connector = make_connector(features_dim, model.config.hidden_size)
    init_connector(model.connector, getattr(model.config, 'initializer_range', 0.02))
    if recipe.model.connector:
        load_connector(model.connector, Path(recipe.model.connector))
    if recipe.model.adapter:
        model = attach_adapter(
            model, local_folder('adapter', recipe.model.adapter, None), trainable=True
        )
    elif recipe.lora.rank:
        model = add_lora(model, recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout)
    template = make_training_template(tokenizer, model.config.model_type, recipe.model.variant)
    if recipe.train.fp8:
        _compute_in_float8(model)
    trainee = StreamModel(model, template.placeholder_id, recipe.train.stream_loss_weight)
    return Trainee(trainee, template, folder)


def make_training_template(
    tokenizer: PreTrainedTokenizerBase, model_type: str, variant: str
) -> Template:
    """The conversation format where no vision tower is at hand."""
    return Template(tokenizer, family_of(model_type), FRAME_TOKENS[variant], variant == 'live1+')


def attention_of(recipe: Recipe) -> str:
    """Attention of a run; 'auto' is our own on a CPU and torch's on a GPU."""
    if recipe.model.attention != 'auto':
        return recipe.model.attention
    on_cpu = recipe.train.device == 'cpu' or not torch.cuda.is_available()
    return CPU_ATTENTION if on_cpu else 'sdpa'


def _load_pretrained(
    recipe: ModelRecipe, attention: str
) -> tuple[Any, PreTrainedTokenizerBase, Path]:
    config = ModelConfig(llm=recipe.llm)
    dtype: torch.dtype = getattr(torch, recipe.dtype)
    options: dict[str, Any] = {}
    device = torch.device('cpu')
    if recipe.quantize:
        from transformers import BitsAndBytesConfig

        options['quantization_config'] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type='nf4',
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        device = torch.device('cuda')
    model, tokenizer = load_base(config, device, dtype, attention, **options)
    return model, tokenizer, local_folder('llm', recipe.llm, None)


def _compute_in_float8(model: torch.nn.Module) -> None:
    """Let the large matrices of the layers be multiplied in float8; their weights stay."""
    from torchao.float8 import convert_to_float8_training

    def is_large(layer: torch.nn.Module, name: str) -> bool:
        sizes = (getattr(layer, 'in_features', 0), getattr(layer, 'out_features', 0))
        return '.layers.' in name and min(sizes) >= 1024 and not any(size % 16 for size in sizes)

    convert_to_float8_training(model, module_filter_fn=is_large)


def _scratch_tokenizer(
    recipe: Recipe, folder: Path, texts: Iterable[str]
) -> PreTrainedTokenizerBase:
    """Learn a tokenizer, or take the one a run that was interrupted had learned."""
    if not folder.is_dir():
        corpus = [*texts, recipe.data.system_prompt]
        partial = partial_path(folder)
        train_tokenizer(corpus, recipe.scratch.vocab_size).save_pretrained(str(partial))
        _rename_first(partial, folder)
    try:
        return AutoTokenizer.from_pretrained(
            str(folder), padding_side='left', trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{folder}: no usable tokenizer: {error}') from error


def _rename_first(partial: Path, folder: Path) -> None:
    """Give a folder its name, or remove it: several processes make the same."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)


def _scratch_model(
    recipe: ScratchRecipe, tokenizer: PreTrainedTokenizerBase, attention: str
) -> LlamaForCausalLM:
    """An untrained Llama."""
    if recipe.hidden_dim % recipe.num_heads:
        raise ConfigError('scratch.num_heads: it must divide scratch.hidden_dim')
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_dim,
        intermediate_size=recipe.mlp_dim,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        num_key_value_heads=recipe.num_kv_heads,
        max_position_embeddings=recipe.num_positions,
        rope_parameters={'rope_type': 'default', 'rope_theta': recipe.rope_theta},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    # Set on the model, not in the config that is saved.
    model = LlamaForCausalLM(config)
    model.set_attn_implementation(attention)
    return model
