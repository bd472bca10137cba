# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues about GoalStep videos: a user asks now and then, the assistant speaks when it can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from training.datasets.annotations import Entry, read_json
from training.datasets.frame_clock import FrameClock
from training.datasets.layout import Video, ego4d_annotation, ego4d_videos
from training.datasets.sample import BuildOptions, Message, Sample, stream
from training.datasets.splits import ego4d_split_uids

FILE = 'goalstep_livechat_trainval_filtered_21k.json'
MAX_WAITING_FRAMES = 20  # seen before the first question
HELD_OUT = {'train_only': 'train', 'val_only': 'val'}  # our splits -> split of the videos


@dataclass(frozen=True)
class _Line:
    """One message as annotated; `time` in s."""

    role: str
    content: str
    time: float


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each dialogue that opens with a question within its video.

    The published file mixes videos that train with videos that validate: `train` and `trainval`
    are all of it, as published; `train_only` and `val_only` are told apart by video.
    """
    dialogues = list(read_json(ego4d_annotation(options, FILE)))
    uids = [dialogue['video_uid'].text() for dialogue in dialogues]
    wanted = set(uids)
    if options.split in HELD_OUT:
        wanted = set(ego4d_split_uids(options, dict.fromkeys(uids), HELD_OUT[options.split]))
    videos = ego4d_videos(options)
    samples = []
    for uid, dialogue in zip(uids, dialogues, strict=True):
        if uid not in wanted:
            continue
        video = videos.find(uid, dialogue)
        lines = [_read_line(entry) for entry in dialogue['conversation']]
        if video is not None and _opens_well(lines, video.duration):
            samples.append(_Dialogue(options, video).sample(lines))
    videos.report('livechat')
    return samples


def _read_line(entry: Entry) -> _Line:
    role = entry['role'].text()
    if role not in ('user', 'assistant'):
        raise entry['role'].error(f'must be user or assistant, not {role!r}')
    return _Line(role, entry['content'].text(), entry['time'].number())


def _opens_well(lines: list[_Line], duration: float) -> bool:
    if not lines:
        return False
    first = lines[0]
    return first.role == 'user' and 0 < first.time <= duration and bool(first.content)


class _Dialogue:
    """Turns the lines of one dialogue into messages on the frame grid."""

    def __init__(self, options: BuildOptions, video: Video) -> None:
        self._clock: FrameClock = options.clock
        self._official = options.official
        self._rng = options.rng
        self._video = video
        self._end = self._clock.end(video.duration)
        self._messages: list[Message] = []
        self._now = 0.0  # position of the last message
        self._time = 0.0  # annotated time of the last message in s

    def sample(self, lines: Iterable[_Line]) -> Sample:
        """Return the sample of one dialogue; draws how many frames precede its first question."""
        clock = self._clock
        question, *others = lines
        asked = clock.floor(question.time, 0, self._end)
        waiting = self._rng.randint(0, min(MAX_WAITING_FRAMES, clock.index(asked)))
        if waiting:
            self._messages.append(stream(waiting, waiting - 1))
        self._now = asked
        self._say(question, asked)
        for line in others:
            if not self._add(line):
                break
        first = clock.index(clock.shift(asked, 1 - waiting))
        return Sample(
            conversation=tuple(self._messages),
            load_ranges={self._video.features: (first, clock.index(self._now) + 1)},
        )

    def _add(self, line: _Line) -> bool:
        """Add a line and return True, or return False where the dialogue ends."""
        if line.time > self._video.duration or line.time < self._time:
            return False
        if line.time == self._time:
            if line.role == 'user':
                return False
            self._answer_at_once(line)
            return True
        if line.role == 'user':
            position = self._clock.floor(line.time, self._now, self._end)
            self._watch(position, before_user=True)
            self._say(line, position)
            return True
        position = self._clock.ceil(line.time, self._now, self._end)
        if position > self._now:
            self._watch(position, before_user=False)
            self._say(line, position)
        elif not self._official:
            # Corrected: an answer within the frame of the message before it, at another annotated
            # time, is given at once; officially it is dropped and the question stays open.
            self._answer_at_once(line)
            self._time = line.time
            self._messages[-1]['time'] = line.time
        return True

    def _watch(self, position: float, *, before_user: bool) -> None:
        if position <= self._now:
            return
        num_frames = self._clock.between(self._now, position)
        learn: bool | int = True
        if before_user and not self._official:
            # Corrected: nothing in the last frame tells that the user is about to speak, so it
            # teaches neither silence nor `]\n`; officially the model learns to stop for the user.
            learn = num_frames - 1
        self._messages.append(stream(num_frames, learn))

    def _answer_at_once(self, line: _Line) -> None:
        """Answer in the frame of the last message: after a user, or in place of an answer."""
        if self._messages[-1]['role'] == 'user':
            self._say(line, self._now)
        else:
            self._messages[-1]['content'] = line.content

    def _say(self, line: _Line, position: float) -> None:
        message: Message = {
            'role': line.role,
            'content': line.content,
            'time': line.time,
            'fps_time': self._clock.seconds(position),
        }
        if line.role == 'assistant':
            message['learn'] = True
        self._messages.append(message)
        self._now, self._time = position, line.time
