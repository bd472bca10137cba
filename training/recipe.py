# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training recipe: every setting declared once, with its bounds and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlo_ros.config import Checked, StreamConfig, setting
from vlo_ros.errors import ConfigError


@dataclass(frozen=True)
class ModelRecipe(Checked):
    """What is trained."""

    section = 'model'

    llm: str = setting(
        '', 'language model to begin with: folder or hub name; empty is from scratch'
    )
    vision: str = setting('', 'vision tower of the features; named in the trained model')
    adapter: str | None = setting(None, 'LoRA and connector to begin with: folder or hub name')
    connector: str | None = setting(
        None, 'connector (.safetensors) to begin with, when there is no adapter'
    )
    variant: str = setting('live1+', 'frame tokens', choices=('live1+', 'live1'))
    attention: str = setting(
        'auto',
        'attention of transformers; auto is our own on a CPU and sdpa on a GPU',
        choices=('auto', 'sdpa', 'eager', 'flash_attention_2'),
    )
    dtype: str = setting(
        'float32',
        'what frozen weights are held in; trained ones are float32 unless they are not adapted',
        choices=('float32', 'bfloat16'),
    )
    quantize: bool = setting(
        False, 'hold the frozen weights in 4 bits (QLoRA; needs bitsandbytes)'
    )


@dataclass(frozen=True)
class ScratchRecipe(Checked):
    """Size of a language model that is trained from scratch."""

    section = 'scratch'

    hidden_dim: int = setting(192, 'width', ge=16)
    num_layers: int = setting(4, 'layers', ge=1)
    num_heads: int = setting(3, 'query heads', ge=1)
    num_kv_heads: int = setting(1, 'key/value heads', ge=1)
    mlp_dim: int = setting(512, 'width of the feed-forward layers', ge=16)
    vocab_size: int = setting(512, 'entries of the tokenizer', ge=300)
    num_positions: int = setting(2048, 'positions; the live window is no longer', ge=128)
    rope_theta: float = setting(10_000.0, 'base of the rotary positions', ge=100.0)


@dataclass(frozen=True)
class LoraRecipe(Checked):
    """Low-rank adapters; rank 0 trains every weight."""

    section = 'lora'

    rank: int = setting(128, 'rank; 0 trains every weight', ge=0)
    alpha: float = setting(256.0, 'scale is alpha / rank', ge=0.0)
    dropout: float = setting(0.05, 'dropout in front of the adapters', ge=0.0, le=1.0)


@dataclass(frozen=True)
class DataRecipe(Checked):
    """What is learned from."""

    section = 'data'

    conversations: tuple = setting((), 'JSON files written by training.datasets')
    features: tuple = setting((), 'folders with frame features')
    in_memory: bool = setting(False, 'keep all features in memory')
    max_num_frames: int = setting(1200, 'longest conversation, in frames; the rest is cut', ge=1)
    augmentation: bool = setting(False, 'put one wrong or missing response into a conversation')
    system_prompt: str = setting(StreamConfig().system_prompt, 'first turn of every conversation')
    blind: bool = setting(False, 'feed zeros instead of features: what text alone can guess')
    padding: str = setting('left', 'side of the padding', choices=('left', 'right'))
    pack_tokens: int = setting(
        0, 'lay conversations end to end in rows of about so many tokens; 0 does not', ge=0
    )
    num_workers: int = setting(0, 'processes that prepare batches', ge=0)


@dataclass(frozen=True)
class TrainRecipe(Checked):
    """How it is learned."""

    section = 'train'

    num_epochs: float = setting(1.0, 'passes over the data, unless there are stages', ge=0.0)
    batch_size: int = setting(1, 'conversations per step and device', ge=1)
    accumulation: int = setting(1, 'batches per optimizer step', ge=1)
    optimizer: str = setting('adamw', 'adamw or muon', choices=('adamw', 'muon'))
    learning_rate: float = setting(2e-4, 'peak rate of AdamW', ge=0.0)
    muon_learning_rate: float = setting(2e-3, 'peak rate of Muon', ge=0.0)
    weight_decay: float = setting(0.0, 'decay of weights', ge=0.0)
    schedule: str = setting(
        'cosine',
        'course of the rate; wsd stays at the peak and falls to zero over the last 30 %',
        choices=('cosine', 'linear', 'constant', 'wsd'),
    )
    warmup: float = setting(0.05, 'share of the steps over which the rate rises', ge=0.0, le=1.0)
    max_grad_norm: float = setting(1.0, 'gradients are clipped to this norm', ge=0.0)
    stream_loss_weight: float = setting(1.0, 'weight of the loss at frame tokens', ge=0.0)
    bf16: bool = setting(True, 'compute in bfloat16')
    fp8: bool = setting(False, 'compute products with frozen and trained matrices in float8')
    tf32: bool = setting(True, 'let CUDA round float32 products to TF32')
    gradient_checkpointing: bool = setting(False, 'recompute activations instead of keeping them')
    seed: int = setting(42, 'seed of everything drawn')
    threads: int = setting(0, 'CPU threads; 0 leaves it to torch', ge=0)
    save_every_steps: int = setting(0, 'steps between checkpoints; 0 goes by time', ge=0)
    save_every_minutes: float = setting(10.0, 'minutes between checkpoints', ge=0.0)
    keep_checkpoints: int = setting(2, 'newest checkpoints kept', ge=1)
    log_every_steps: int = setting(10, 'steps between two lines of the log', ge=1)
    report_to: str = setting(
        'tensorboard',
        'where losses go besides log.jsonl',
        choices=('tensorboard', 'wandb', 'none'),
    )
    device: str = setting('auto', 'auto takes cuda where there is one', choices=('auto', 'cpu'))
    deepspeed: str = setting('', 'DeepSpeed configuration (JSON)')


@dataclass(frozen=True)
class StageRecipe(Checked):
    """A part of the training on windows of one length."""

    section = 'stages'

    num_steps: int = setting(1000, 'optimizer steps', ge=1)
    batch_size: int = setting(16, 'windows per step and device', ge=1)
    window_frames: int = setting(20, 'frames of a window', ge=1)
    unlearned_frames: int = setting(0, 'first frames of a window that teach nothing', ge=0)
    position_gap: int = setting(
        0, 'positions at most skipped behind the instruction, as in a long stream', ge=0
    )
    files: tuple = setting((), 'conversations drawn from, names without .json; none is all')


@dataclass(frozen=True)
class Recipe:
    """Everything a training run depends on, but for the files it reads."""

    output: str = ''
    model: ModelRecipe = field(default_factory=ModelRecipe)
    scratch: ScratchRecipe = field(default_factory=ScratchRecipe)
    lora: LoraRecipe = field(default_factory=LoraRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)
    stages: tuple[StageRecipe, ...] = ()
    stream: StreamConfig = field(default_factory=StreamConfig)

    def __post_init__(self) -> None:
        """Check what concerns several sections."""
        if not self.model.llm and self.lora.rank:
            raise ConfigError('lora.rank: a model from scratch has nothing to adapt; set it to 0')
        if self.model.quantize and not self.lora.rank:
            raise ConfigError('model.quantize: only LoRA can be trained on 4-bit weights')
        if self.model.adapter and not self.lora.rank:
            raise ConfigError('model.adapter: an adapter needs lora.rank above 0')
        if self.model.quantize and self.train.fp8:
            raise ConfigError('train.fp8: weights in 4 bits (model.quantize) stay as they are')
        if self.data.pack_tokens and self.stages:
            raise ConfigError('data.pack_tokens: windows are of one length and are not packed')
        if self.stages and self.train.accumulation > 1:
            raise ConfigError('train.accumulation: with stages, set stages.batch_size instead')
