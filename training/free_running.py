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
    Outcome,
    Query,
    Response,
    Trigger,
    Verdict,
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


class Trial:
    """Asks a stream what a script asks, and keeps what it says and decides."""

    def __init__(self, script: Script, fps: float) -> None:
        """Begin with nothing said.

        Args:
            script: What is asked and expected.
            fps: Frames per second.
        """
        self._script = script
        self._fps = fps
        self._questions = {frame: (asked, truth) for frame, asked, truth in script.questions}
        self._said: list[Said] = []
        self._heard: list[Said] = []
        self._judged: list[Judged] = []
        self._answers: list[Answer] = []

    def ask(self, stream: Stream, frame: int, stamp_ns: int) -> None:
        """Ask what is to be asked at a frame, counted from the script's first."""
        if frame in self._questions:
            refusal = stream.put_query(Query(stamp_ns, self._questions[frame][0]))
            assert refusal is None, refusal

    def take(self, outcome: Outcome, frame: int, finished_s: float) -> None:
        """Keep an outcome of a frame; it was complete at `finished_s` of the script's time."""
        due_s = frame / self._fps
        if isinstance(outcome, Decision) and outcome.verdict is not Verdict.QUERY:
            assert outcome.p_silence is not None
            silent = outcome.verdict is Verdict.SILENT
            self._judged.append(Judged(due_s, outcome.p_silence, silent))
        elif isinstance(outcome, Response) and outcome.trigger is Trigger.PROACTIVE:
            self._said.append(Said(due_s, outcome.text.strip()))
            self._heard.append(Said(finished_s, outcome.text.strip()))
        elif isinstance(outcome, Response):
            asked, truth = self._questions[frame]
            self._answers.append(Answer(due_s, asked, truth, outcome.text.strip()))

    def all_of(self, num_frames: int) -> Heard:
        """Everything, of a script so long."""
        return Heard(
            truth=self._script.truth,
            said=tuple(self._said),
            judged=tuple(self._judged),
            answers=tuple(self._answers),
            duration=num_frames / self._fps,
            heard=tuple(self._heard),
        )


def run(model: VloModel, config: StreamConfig, scene: Scene) -> Heard:
    """Run one scene from a fresh stream."""
    fps = config.frame_fps
    script = script_of(scene.conversation, fps)
    stream = Stream(model, replace(config, instruction=script.instruction or config.instruction))
    trial = Trial(script, fps)
    busy_until = 0.0
    for index, tokens_FD in enumerate(scene.tokens_NFD):
        stamp_ns = round(index * NS_PER_S / fps)
        trial.ask(stream, index, stamp_ns)
        started = time.perf_counter()
        begun = max(index / fps, busy_until) + scene.encode_s
        stream.put_frame(FrameTokens(stamp_ns, index, tokens_FD))
        for outcome in stream.advance():
            trial.take(outcome, index, begun + time.perf_counter() - started)
        busy_until = begun + time.perf_counter() - started
    return trial.all_of(len(scene.tokens_NFD))
