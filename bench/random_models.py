# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of real shapes with random weights, and streams that speak when they are told to."""

# Shapes: F tokens per frame, D hidden dim.
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
    set_seed,
)

from bench.machine import ROOT
from vlo_ros import decision, onednn
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import ModelConfig, StreamConfig
from vlo_ros.connector import make_connector
from vlo_ros.events import NS_PER_S, Event, FrameTokens
from vlo_ros.language import LORA_TARGETS, family_of
from vlo_ros.language_model import LanguageModel
from vlo_ros.stream import Stream
from vlo_ros.template import Template
from vlo_ros.vision import TOWERS, VisionTower

FRAME_NUM_TOKENS = 10
TOKENS_PER_FRAME = FRAME_NUM_TOKENS + 1  # with the interval
DAY_FRAMES = 24 * 3600 * 2  # at 2 FPS
TOKENIZER = ROOT / 'tests' / 'golden' / 'live1plus' / 'llm'

LLAMA_125M = LlamaConfig(
    hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
    num_key_value_heads=4, vocab_size=32_000, max_position_embeddings=8192,
    tie_word_embeddings=False,
)  # fmt: skip
# Meta-Llama-3-8B-Instruct
LLAMA_8B = LlamaConfig(
    hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32, num_attention_heads=32,
    num_key_value_heads=8, vocab_size=128_256, max_position_embeddings=8192,
    tie_word_embeddings=False, rms_norm_eps=1e-5,
    rope_parameters={'rope_type': 'default', 'rope_theta': 500_000.0},
)  # fmt: skip
LLAMA_TINY = LlamaConfig(
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=2048, max_position_embeddings=512,
)  # fmt: skip
# siglip-large-patch16-384
SIGLIP_LARGE = SiglipVisionConfig(
    hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
    image_size=384, patch_size=16,
)  # fmt: skip
SIGLIP_TINY = SiglipVisionConfig(
    hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
    image_size=48, patch_size=16,
)  # fmt: skip


def make_llama(
    config: LlamaConfig, dtype: torch.dtype, device: torch.device, seed: int = 0
) -> LlamaForCausalLM:
    """A random language model, made where it runs."""
    set_seed(seed)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaForCausalLM(type(config)(**config.to_dict()))
        return model.eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(default)


def add_lora(model: LlamaForCausalLM, rank: int) -> Any:
    """Put unmerged LoRA on the layers that the published recipe adapts, in the model's format."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=LORA_TARGETS)
    return get_peft_model(model, config, autocast_adapter_dtype=False).eval()


def make_model(llama: LlamaForCausalLM, siglip: SiglipVisionConfig = SIGLIP_TINY) -> VloModel:
    """A whole model around `llama`, prepared as `load_model` prepares it."""
    parameter = llama.get_input_embeddings().weight
    device, dtype = parameter.device, parameter.dtype
    with device:
        vision = SiglipVisionModel(type(siglip)(**siglip.to_dict())).to(dtype)
        connector = make_connector(siglip.hidden_size, llama.config.hidden_size).to(dtype)
    connector.eval().requires_grad_(False)
    tower = VisionTower(vision, TOWERS['siglip'], use_patches=True)
    if device.type == 'cpu':
        for module in (llama, vision, connector):
            onednn.pack_linears(module)
    return VloModel(
        ModelConfig(truthful=False), tower, connector, LanguageModel(llama), make_template()
    )


def make_template() -> Template:
    """The conversation format with the test models' tokenizer; ids fit every vocabulary here."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER, trust_remote_code=False)
    return Template(tokenizer, family_of('llama'), FRAME_NUM_TOKENS, use_interval=True)


def make_frames(
    model: VloModel, first: int, count: int, fps: float = 2.0, bank: int = 64
) -> list[FrameTokens]:
    """Random frame tokens with indices first, first + 1, ...; contents repeat after `bank`."""
    generator = torch.Generator(device=model.device).manual_seed(1)
    hidden = model.language.config.hidden_size
    bank_NFD = torch.randn(
        bank, FRAME_NUM_TOKENS, hidden, generator=generator, device=model.device
    ).to(model.dtype)
    bank_NFD *= 0.02
    return [
        FrameTokens(round(index * NS_PER_S / fps), index, bank_NFD[index % bank])
        for index in range(first, first + count)
    ]


def make_stream(model: VloModel, **changes: Any) -> Stream:
    """A stream whose backlog never drops."""
    return Stream(model, StreamConfig(backlog_frames=100_000, **changes))


def judge(stream: Stream, frames: Sequence[FrameTokens]) -> None:
    """Let frames arrive at once and judge them."""
    for frame in frames:
        stream.put_frame(frame)
    for _ in stream.advance():
        pass


@contextmanager
def speaking_at(indices: Collection[int]) -> Iterator[None]:
    """Make every stream speak at these frames and be silent at all others.

    Random weights have nothing to say about when to speak. All work is done as usual, the reading
    of the decision included; only its verdict is replaced.
    """
    from vlo_ros import decoder

    judged: list[int] = []
    plan = decoder.StreamDecoder.plan

    def noting_plan(self: Any, events: Sequence[Event]) -> Any:
        judged[:] = [event.index for event in events if isinstance(event, FrameTokens)]
        yield from plan(self, events)

    def scripted(logits_NK: torch.Tensor, silence_id: int, thresholds: Sequence[float]) -> Any:
        verdicts = decision.decide(logits_NK, silence_id, thresholds)
        # Of several streams in one batch none may speak: whose frames these are is not known.
        spoken = [index in indices for index in judged[: len(verdicts)]] if indices else []
        spoken += [False] * (len(verdicts) - len(spoken))
        return [(p, not speaks) for (p, _), speaks in zip(verdicts, spoken, strict=True)]

    with (
        mock.patch.object(decoder, 'decide', scripted),
        mock.patch.object(decoder.StreamDecoder, 'plan', noting_plan),
    ):
        yield


@contextmanager
def filling() -> Iterator[None]:
    """Bring streams to some length quickly: all is done as usual but the model's arithmetic."""

    def forward(language: LanguageModel, segments: list[Segment]) -> list[torch.Tensor]:
        size = language.config.vocab_size
        for segment in segments:
            segment.cache.check_room(segment.num_tokens)
            segment.cache.commit(segment.num_tokens)
        return [
            torch.zeros(len(segment.read_rows), size, device=language.device)
            for segment in segments
        ]

    with speaking_at(()), mock.patch.object(LanguageModel, 'forward', forward):
        yield
