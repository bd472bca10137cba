# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lets a model live with its own past, through the very stream the node runs, and takes the time.

Frames are fed one at a time. The measured seconds of each are laid on the frames' own clock, as
if they had come from a camera: a frame waits while the one before it is still being worked on.
"""

# Shapes: N frames, F tokens per frame, D hidden dim.
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from training.scoring import Answer, Heard, Judged, Said
from training.timeline import timeline_of
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.events import (
    NS_PER_S,
    Decision,
    FrameTokens,
    Query,
    Response,
    Trigger,
    Verdict,
    seconds,
)
from vlo_ros.stream import Stream


@dataclass(frozen=True)
class Scene:
    """A conversation as it should go, and its frames behind the connector.

    Attributes:
        conversation: The true conversation, system prompt left out.
        tokens_NFD: Its frames.
        encode_s: Seconds that encoding one frame takes.
    """

    conversation: Sequence[Mapping[str, Any]]
    tokens_NFD: torch.Tensor
    encode_s: float = 0.0


@dataclass(frozen=True)
class Script:
    """What a scene asks for and what it expects.

    Attributes:
        instruction: The standing instruction.
        truth: What should be said.
        questions: Frame index, question and true answer.
    """

    instruction: str
    truth: tuple[Said, ...]
    questions: tuple[tuple[int, str, str], ...]


def script_of(conversation: Sequence[Mapping[str, Any]], fps: float) -> Script:
    """Read a true conversation: what follows a frame was due then, what follows a user answers."""
    timeline = timeline_of(conversation)
    truth, questions = [], []
    for frame, turns in sorted(timeline.after.items()):
        asked: str | None = None
        for turn in turns:
            if turn['role'] == 'user':
                asked = turn['content']
            elif asked is None:
                truth.append(Said(frame / fps, turn['content']))
            else:
                questions.append((frame, asked, turn['content']))
                asked = None
    instruction = ' '.join(turn['content'] for turn in (*timeline.before, *timeline.instruction))
    return Script(instruction, tuple(truth), tuple(questions))


def run(model: VloModel, config: StreamConfig, scene: Scene) -> Heard:
    """Run one scene from a fresh stream."""
    fps = config.frame_fps
    script = script_of(scene.conversation, fps)
    stream = Stream(model, replace(config, instruction=script.instruction or config.instruction))
    questions = {frame: (asked, truth) for frame, asked, truth in script.questions}
    said, heard, judged, answers = [], [], [], []
    busy_until = 0.0
    for index, tokens_FD in enumerate(scene.tokens_NFD):
        stamp_ns = round(index * NS_PER_S / fps)
        if index in questions:
            refusal = stream.put_query(Query(stamp_ns, questions[index][0]))
            assert refusal is None, refusal
        started = time.perf_counter()
        begun = max(index / fps, busy_until) + scene.encode_s
        stream.put_frame(FrameTokens(stamp_ns, index, tokens_FD))
        for outcome in stream.advance():
            if isinstance(outcome, Decision) and outcome.verdict is not Verdict.QUERY:
                assert outcome.p_silence is not None
                silent = outcome.verdict is Verdict.SILENT
                judged.append(Judged(seconds(outcome.stamp_ns), outcome.p_silence, silent))
            elif isinstance(outcome, Response) and outcome.trigger is Trigger.PROACTIVE:
                finished = begun + time.perf_counter() - started
                said.append(Said(seconds(outcome.stamp_ns), outcome.text.strip()))
                heard.append(Said(finished, outcome.text.strip()))
            elif isinstance(outcome, Response):
                asked, truth = questions[index]
                answers.append(Answer(index / fps, asked, truth, outcome.text.strip()))
        busy_until = begun + time.perf_counter() - started
    return Heard(
        truth=script.truth,
        said=tuple(said),
        judged=tuple(judged),
        answers=tuple(answers),
        duration=len(scene.tokens_NFD) / fps,
        heard=tuple(heard),
    )
