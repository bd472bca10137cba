# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random streams on a random tiny model, whose frames lean towards silence or speech."""

from __future__ import annotations

import collections
import dataclasses
import random
from dataclasses import dataclass

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tests.live import GOLDEN
from vlo_ros import onednn
from vlo_ros.attention import ATTENTION
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import ModelConfig, StreamConfig
from vlo_ros.connector import make_connector
from vlo_ros.events import (
    NS_PER_S,
    Decision,
    Event,
    FrameTokens,
    Outcome,
    Partial,
    Query,
    Response,
)
from vlo_ros.language import family_of
from vlo_ros.language_model import LanguageModel
from vlo_ros.stream import Stream
from vlo_ros.template import Template

HIDDEN = 32
POSITIONS = 2048
QUESTIONS = ('what is that?', 'Where did I leave the cup, and why?', 'narrate', 'x')
SPEAKING_RATES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
# By tokens of a frame: windows that fill soon, and frames enough to fill them.
EVICTING = {10: ((180, 210, 260), (12, 32)), 1: ((115, 130, 150), (20, 50))}


@dataclass(frozen=True)
class TinyModel:
    """A random model and its twin.

    Attributes:
        vlo: The model on the engine; it has no vision tower.
        plain: The same weights on transformers' own attention.
        silence_D: Frame tokens along it lean towards silence.
        speech_D: Frame tokens along it lean towards speech.
    """

    vlo: VloModel
    plain: LlamaForCausalLM
    silence_D: torch.Tensor
    speech_D: torch.Tensor


@dataclass(frozen=True)
class RandomStream:
    """What comes in, and the settings; `seed` makes it again."""

    seed: int
    frames: list[FrameTokens]
    queries: list[Query]
    config: StreamConfig


def tiny_model(variant: str, device: str = 'cpu', dtype: torch.dtype = torch.float32) -> TinyModel:
    """2 layers, hidden 32, grouped heads; peaked enough to be sure of some frames."""
    use_interval = variant == 'live1+'
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / 'live1plus' / 'llm')
    template = Template(tokenizer, family_of('llama'), 10 if use_interval else 1, use_interval)
    engine, plain = (_llama(len(tokenizer), template).to(device) for _ in range(2))
    for parameter in (*engine.parameters(), *plain.parameters()):
        parameter.data = parameter.data.to(dtype)  # rotary frequencies stay as they are
    plain.config._attn_implementation = 'sdpa'
    head_KD = plain.lm_head.weight.clone()
    if device == 'cpu':
        onednn.pack_linears(engine)
    language = LanguageModel(engine)
    connector = make_connector(HIDDEN, HIDDEN)
    vlo = VloModel(ModelConfig(variant=variant), None, connector, language, template)  # type: ignore[arg-type]
    silence_D, speech_D = head_KD[template.silence_id], head_KD[template.stream_end_id]
    return TinyModel(vlo, plain, silence_D / silence_D.norm(), speech_D / speech_D.norm())


def _llama(num_ids: int, template: Template) -> LlamaForCausalLM:
    torch.manual_seed(7)
    config = LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=num_ids, max_position_embeddings=POSITIONS,
        initializer_range=0.2, attn_implementation=ATTENTION,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    for token_id in (template.silence_id, template.eos_id, template.stream_end_id):
        model.lm_head.weight[token_id] *= 3
    return model


def random_stream(
    seed: int, model: TinyModel, *, evicting: bool = False, **changes: object
) -> RandomStream:
    """Frames that speak at a random rate, queries before, at and between them.

    `evicting` takes a window that most such streams fill, and never one frame at a time.
    """
    chance = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    template = model.vlo.template
    num_frames = chance.choice((1, 2, 9, 17, 33, chance.randrange(1, 60)))
    chunks, window_tokens = ('1', '2', '8', '32', 'auto'), 0
    if evicting:
        windows, lengths = EVICTING[template.frame_num_tokens]
        chunks, window_tokens = chunks[1:], chance.choice(windows)
        num_frames = chance.randrange(*lengths)
    rate, device = chance.choice(SPEAKING_RATES), model.vlo.device
    frames = []
    for index in range(num_frames):
        tokens_FD = torch.randn(template.frame_num_tokens, HIDDEN, generator=generator)
        lean_D = model.speech_D if chance.random() < rate else model.silence_D
        tokens_FD[-1] += chance.choice((2.0, 8.0, 20.0)) * lean_D.cpu()
        tokens_FD = tokens_FD.to(device, model.vlo.dtype)
        frames.append(FrameTokens(index * NS_PER_S // 2, index, tokens_FD))
    queries = []
    num_queries = chance.choice((0, 0, 1, 2, 5))
    all_before = evicting and chance.random() < 0.1  # words alone fill the window
    for number in range(16 if all_before else num_queries):
        stamp_ns = frames[chance.randrange(num_frames)].stamp_ns + chance.choice((0, -1, 10**8))
        stamp_ns = -1 if all_before else stamp_ns
        queries.append(Query(stamp_ns, chance.choice(QUESTIONS), str(number)))
    settings: dict[str, object] = {
        'silence_threshold': chance.choice((0.0, 0.3, 0.5, 0.725, 0.95, 1.01)),
        'resume_silence_threshold': chance.choice((None, None, 0.2, 0.9)),
        'max_new_tokens': chance.choice((1, 3, 8)),
        'instruction': chance.choice(('', '', 'Say what you see.')),
        'chunk': chance.choice(chunks),
        'window_tokens': window_tokens,
        'system_prompt': chance.choice(('Watch.', 'A helper looks on, and speaks when it must.')),
    }
    config = dataclasses.replace(StreamConfig(), **{**settings, **changes})
    return RandomStream(seed, frames, queries, config)


def play(model: TinyModel, given: RandomStream, **changes: object) -> list[Outcome]:
    """Outcomes of the stream when everything waits before the first frame is judged."""
    stream = put(model, given, **changes)
    return list(stream.advance(flush=True))


def put(model: TinyModel, given: RandomStream, **changes: object) -> Stream:
    """The stream with everything in its backlog."""
    stream = Stream(model.vlo, dataclasses.replace(given.config, **changes))  # type: ignore[arg-type]
    for query in given.queries:
        assert stream.put_query(query) is None
    for frame in given.frames:
        stream.put_frame(frame)
    return stream


def play_in_bursts(
    model: TinyModel, given: RandomStream, **changes: object
) -> tuple[list[Outcome], int, Stream]:
    """Outcomes when frames and queries come in bursts, some while a sentence is decoded.

    Returns:
        The outcomes; how many frames came between two tokens; the stream as it is left.
    """
    chance = random.Random(given.seed)
    stream = Stream(model.vlo, dataclasses.replace(given.config, **changes))  # type: ignore[arg-type]
    events: list[Event] = [*given.queries, *given.frames]
    # A query comes before the frame of its stamp: later it would be answered behind that frame.
    events.sort(key=lambda event: (event.stamp_ns, isinstance(event, FrameTokens)))
    coming = collections.deque(events)

    def burst() -> int:
        num_frames = 0
        for _ in range(min(len(coming), chance.choice((0, 0, 1, 2, 5, 12)))):
            event = coming.popleft()
            if isinstance(event, FrameTokens):
                stream.put_frame(event)
                num_frames += 1
            else:
                assert stream.put_query(event) is None
        return num_frames

    outcomes: list[Outcome] = []
    num_meanwhile = 0
    while coming:
        burst()
        for outcome in stream.advance():
            outcomes.append(outcome)
            if isinstance(outcome, Partial):
                num_meanwhile += burst()
    outcomes += stream.advance(flush=True)
    return outcomes, num_meanwhile, stream


def log_of(outcomes: list[Outcome]) -> list[tuple]:
    """As `PlainStream.log`, p(silence) rounded to what float32 keeps."""
    log: list[tuple] = []
    for outcome in outcomes:
        if isinstance(outcome, Decision):
            log.append(('frame', outcome.index, outcome.p_silence, outcome.verdict.value))
        elif isinstance(outcome, Response):
            ids = outcome.token_ids
            log.append(('response', outcome.stamp_ns, ids, outcome.finish.value))
    return log


def check_same(one: list[tuple], other: list[tuple], about: str) -> None:
    """Fail unless both logs agree: words and verdicts exactly, p(silence) to 1e-4."""
    words = [
        [tuple(v for v in entry if not isinstance(v, float)) for entry in log]
        for log in (one, other)
    ]
    assert words[0] == words[1], about
    for left, right in zip(one, other, strict=True):
        if left[0] == 'frame':
            assert abs(left[2] - right[2]) < 1e-4, about
