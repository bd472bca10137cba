# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A conversation frame by frame, and windows cut out of it.

A long stream is trained in windows that begin anywhere in it. A window reads like a live stream
whose oldest turns were evicted: system prompt, one frame, the standing instruction, then the
frames and what was said from there on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Timeline:
    """One conversation.

    Attributes:
        before: Turns before the first frame.
        instruction: User turns after a leading run of one frame; they stand for the whole stream.
        learned: For each frame, whether it teaches silence or speech.
        after: Frame index -> turns that follow it, the instruction left out.
    """

    before: tuple[Message, ...]
    instruction: tuple[Message, ...]
    learned: tuple[bool, ...]
    after: Mapping[int, tuple[Message, ...]]

    @property
    def num_frames(self) -> int:
        """Frames of the whole conversation."""
        return len(self.learned)

    def window(self, first: int, num_frames: int) -> list[Message]:
        """Cut out the frames [first, first + num_frames) with what is said among them.

        What is said right after the first frame is left out unless the conversation begins there.
        """
        end = min(first + num_frames, self.num_frames)
        if not 0 <= first < end:
            raise ValueError(
                f'window: frames {first} to {end} are not within the {self.num_frames} frames'
            )
        messages = [*self.before, {'role': 'stream', 'num_frames': 1, 'learn': False}]
        messages += self.instruction
        start = first + 1
        if first == 0:
            messages += self.after.get(0, ())
        if messages[-1]['role'] == 'stream':  # no instruction: the run goes on
            messages.pop()
            start = first
        run: list[bool] = []
        for frame in range(start, end):
            run.append(self.learned[frame] and frame > first)
            turns = self.after.get(frame, ())
            if turns or frame == end - 1:
                # Nobody knows what would follow the last frame of a window.
                messages.append(_run(run if turns else [*run[:-1], False]))
                messages += turns
                run = []
        return messages


def timeline_of(conversation: Sequence[Message]) -> Timeline:
    """Lay out a conversation frame by frame."""
    before: list[Message] = []
    learned: list[bool] = []
    after: dict[int, list[Message]] = {}
    for message in conversation:
        if message['role'] == 'stream':
            num_frames, learn = int(message['num_frames']), message.get('learn', False)
            num_learned = num_frames if learn is True else int(learn)
            learned += [index < num_learned for index in range(num_frames)]
        elif learned:
            after.setdefault(len(learned) - 1, []).append(message)
        else:
            before.append(message)
    for frame, turns in after.items():
        if turns[0]['role'] == 'user':  # no frame tells when a person will speak
            learned[frame] = False
    instruction: list[Message] = []
    first_turns = after.get(0, [])
    while first_turns and first_turns[0]['role'] == 'user':
        instruction.append(first_turns.pop(0))
    if not first_turns:
        after.pop(0, None)
    return Timeline(
        tuple(before),
        tuple(instruction),
        tuple(learned),
        {frame: tuple(turns) for frame, turns in after.items()},
    )


def _run(learned: Sequence[bool]) -> Message:
    """A run of frames; a run can only be learned from its beginning, up to some frame."""
    num_learned = next((i for i, flag in enumerate(learned) if not flag), len(learned))
    learn: bool | int = True if num_learned == len(learned) else num_learned
    return {'role': 'stream', 'num_frames': len(learned), 'learn': learn}
