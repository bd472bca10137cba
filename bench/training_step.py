# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One way to train, on conversations of frames and sentences with random weights, and its cost."""

# Shapes: B conversations, T positions, N frames, F tokens per frame, V vision dim, D hidden dim.
from __future__ import annotations

import random
import resource
import time
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlamaConfig

from bench.plain_head import PlainHead
from bench.random_models import (
    FRAME_NUM_TOKENS,
    LLAMA_8B,
    LLAMA_TINY,
    TOKENS_PER_FRAME,
    make_llama,
    make_template,
)
from training.collate import Example, collate, pack
from training.cpu_attention import CPU_ATTENTION
from training.model import StreamModel, add_lora
from training.throughput import StepCost
from vlo_ros.connector import make_connector
from vlo_ros.page import IGNORE
from vlo_ros.template import turns_from

LLAMA_SMALL = LlamaConfig(
    hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=32_000, max_position_embeddings=8192,
    tie_word_embeddings=False,
)  # fmt: skip
VISION_DIM = 1024
FRAMES_PER_SENTENCE = 8  # at 2 FPS a sentence every four seconds, as in Ego4D
SENTENCE = 'You pick up the knife and cut the red pepper on the board.'


@dataclass(frozen=True)
class Shape:
    """A model and how much it reads at once; rank 0 trains every weight."""

    llama: LlamaConfig
    num_positions: int
    lora_rank: int


SHAPES = {
    'tiny': Shape(LLAMA_TINY, 384, 4),
    'small': Shape(LLAMA_SMALL, 2048, 0),
    '8b': Shape(LLAMA_8B, 8192, 128),
}


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        shape: Name in SHAPES.
        head: 'gathered', or 'plain' for every position.
        batches: 'one' conversation that fills the row; 'padded' or 'packed': many of all lengths.
        checkpointing: Recompute activations.
        seed: Of weights and lengths.
    """

    shape: str
    head: str = 'gathered'
    batches: str = 'one'
    checkpointing: bool = False
    seed: int = 0


def measure(case: Case, steps: int) -> dict[str, Any]:
    """Train some steps and tell what they cost; the first is not counted."""
    shape = SHAPES[case.shape]
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model = make_trainee(case, device)
    batches, num_tokens = make_batches(case, device)
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    before = _peak_bytes(device)

    def pass_over() -> float:
        for batch in batches:
            loss = model(**batch)['loss']
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    first_loss = pass_over()
    seconds = []
    for _ in range(steps):
        began = time.perf_counter(), time.process_time()
        pass_over()
        if device.type == 'cuda':
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall_s, cpu_s = (min(column) for column in zip(*seconds, strict=True))
    cost = StepCost(shape.llama, shape.lora_rank)
    flops = sum(cost.flops({k: v.cpu() for k, v in batch.items()}) for batch in batches)
    return {
        'tokens_per_s': num_tokens / wall_s,
        **({'tokens_per_cpu_s': num_tokens / cpu_s} if device.type == 'cpu' else {}),
        'tflops': flops / wall_s / 1e12,
        'peak_gb': _peak_bytes(device) / 1e9,
        'of_steps_gb': (_peak_bytes(device) - before) / 1e9,
        'loss': first_loss,
        'positions': sum(batch['input_ids'].numel() for batch in batches),
        'tokens': num_tokens,
        'labelled': sum(int((batch['labels'] != IGNORE).sum()) for batch in batches),
    }


def make_trainee(case: Case, device: torch.device) -> StreamModel:
    """A random model in training, made where it runs."""
    shape = SHAPES[case.shape]
    dtype = torch.bfloat16 if device.type == 'cuda' else torch.float32
    llama: Any = make_llama(shape.llama, dtype, device, case.seed)
    llama.set_attn_implementation('sdpa' if device.type == 'cuda' else CPU_ATTENTION)
    with device:
        llama.connector = make_connector(VISION_DIM, shape.llama.hidden_size).to(dtype)
    if shape.lora_rank:
        llama = add_lora(llama, shape.lora_rank, 2.0 * shape.lora_rank, dropout=0.0)
    else:
        llama.requires_grad_(True)
    kind = PlainHead if case.head == 'plain' else StreamModel
    model = kind(llama, make_template().placeholder_id).train()
    if case.checkpointing:
        options = {'use_reentrant': False}
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    return model


def make_batches(case: Case, device: torch.device) -> tuple[list[dict[str, torch.Tensor]], int]:
    """Batches of one pass, and how many tokens of conversations are in them."""
    num_positions = SHAPES[case.shape].num_positions
    if case.batches == 'one':
        rows = [[make_example(num_positions, case.seed)]]
    else:
        # Lengths as far apart as those of videos: from a sixteenth of the row to all of it.
        rng = random.Random(case.seed)
        drawn = [round(num_positions * 2 ** rng.uniform(-4, 0)) for _ in range(8)]
        examples = [make_example(length, number) for number, length in enumerate(drawn)]
        rows = _fill(examples, num_positions) if case.batches == 'packed' else _pairs(examples)
    batches = [
        pack(row) if case.batches == 'packed' else collate(row, 0, padding='right') for row in rows
    ]
    tokens = sum(example.num_tokens for row in rows for example in row)
    return [{name: value.to(device) for name, value in one.items()} for one in batches], tokens


def make_example(num_positions: int, seed: int) -> Example:
    """A conversation of at most so many positions: frames, and a sentence now and then."""
    template = make_template()
    num_frames = max(2, (num_positions - 64) // (TOKENS_PER_FRAME + 3))
    conversation: list[dict[str, Any]] = [
        {'role': 'stream', 'num_frames': 1, 'learn': False},
        {'role': 'user', 'content': 'Narrate what I do.'},
    ]
    for first in range(1, num_frames, FRAMES_PER_SENTENCE):
        size = min(FRAMES_PER_SENTENCE, num_frames - first)
        conversation.append({'role': 'stream', 'num_frames': size, 'learn': True})
        conversation.append({'role': 'assistant', 'content': SENTENCE, 'learn': True})
    generator = torch.Generator().manual_seed(seed)
    features_NFV = torch.randn(num_frames, FRAME_NUM_TOKENS, VISION_DIM, generator=generator)
    return Example(template.render(turns_from(conversation, 'Watch.')), features_NFV)


def _fill(examples: list[Example], capacity: int) -> list[list[Example]]:
    rows: list[list[Example]] = []
    for example in examples:
        room = capacity - sum(one.num_tokens for one in rows[-1]) if rows else 0
        if example.num_tokens > room:
            rows.append([])
        rows[-1].append(example)
    return rows


def _pairs(examples: list[Example]) -> list[list[Example]]:
    return [examples[start : start + 2] for start in range(0, len(examples), 2)]


def _peak_bytes(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
