# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cuts utterances out of sound that goes on for ever: from the first word to a pause."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from vlo_ros.hearing.sound import SAMPLE_BYTES, SAMPLE_RATE
from vlo_ros.speech.program import SpeechError

PAUSE_S = 0.5
LONGEST_S = 15.0
WINDOW_S = 0.3  # that the endpointer looks back
# Kept around an utterance, since soft consonants escape the endpointer.
BEFORE_S = WINDOW_S + 0.3
AFTER_S = 0.2


class Endpointer(Protocol):
    """What is used of pocketsphinx's."""

    frame_bytes: int
    frame_length: float  # s
    speech_end: float  # s of all that it was given
    in_speech: bool

    def process(self, frame: bytes) -> bytes | None:
        """Take the next frame of sound."""


def make_endpointer() -> Endpointer:
    """Return a fresh one.

    Raises:
        SpeechError: pocketsphinx is not installed.
    """
    try:
        import pocketsphinx
    except ImportError as error:
        raise SpeechError('to hear, install pocketsphinx: pip install pocketsphinx') from error
    # Less strict it takes a fan for a voice that never ends.
    mode = pocketsphinx.Vad.MEDIUM_STRICT
    return cast(Endpointer, pocketsphinx.Endpointer(WINDOW_S, vad_mode=mode))


@dataclass(frozen=True)
class Utterance:
    """What somebody said between two pauses.

    Attributes:
        sound: 16 kHz, mono, 16 bit little-endian.
        end_ns: Stamp of the last frame with speech in it.
        is_cut: Whether it went on, longer than is kept.
    """

    sound: bytes
    end_ns: int
    is_cut: bool = False

    @property
    def seconds(self) -> float:
        """How long it is, s."""
        return len(self.sound) / (SAMPLE_RATE * SAMPLE_BYTES)


class UtteranceCutter:
    """Takes sound frame by frame, gives an utterance when the pause behind it is over.

    Memory is bounded: an utterance longer than `longest_s` ends there, and what follows up to the
    next pause is left out.

    Attributes:
        frame_bytes: Size of a frame.
    """

    def __init__(
        self,
        pause_s: float = PAUSE_S,
        longest_s: float = LONGEST_S,
        make: Callable[[], Endpointer] = make_endpointer,
    ) -> None:
        """Begin in silence.

        Args:
            pause_s: Silence that ends an utterance, s.
            longest_s: Length of the longest utterance, s.
            make: Makes an endpointer.

        Raises:
            SpeechError: pocketsphinx is not installed.
        """
        self._make = make
        endpointer = make()
        self.frame_bytes = endpointer.frame_bytes
        self._frame_s = endpointer.frame_length
        self._num_before = self._frames_in(BEFORE_S)
        # The endpointer notices the next word that much later.
        self._num_pause = self._frames_in(pause_s + WINDOW_S)
        self._num_after = min(self._frames_in(AFTER_S), self._num_pause)
        self._num_longest = max(self._frames_in(longest_s), self._num_before + 1)
        self._begin(endpointer)

    @property
    def is_open(self) -> bool:
        """Whether somebody speaks, or has just ended."""
        return self._is_open

    def take(self, frame: bytes, stamp_ns: int) -> Utterance | None:
        """Take the next frame, with the time when it was recorded."""
        self._endpointer.process(frame)
        self._num_taken += 1
        self._frames.append(frame)
        self._stamps.append(stamp_ns)
        if self._endpointer.in_speech:
            self._is_open = True
            self._num_spoken = self._num_taken
            return self._cut() if len(self._frames) >= self._num_longest else None
        if not self._is_open:
            self._keep(self._num_before)
            return None
        self._num_spoken = round(self._endpointer.speech_end / self._frame_s)
        return self._close() if self._num_behind >= self._num_pause else None

    def finish(self) -> Utterance | None:
        """Take the end of the sound for a pause."""
        if not self._stamps:
            return None
        silence, stamp_ns = bytes(self.frame_bytes), self._stamps[-1]
        utterance = None
        for _ in range(self._num_pause + self._num_before):
            utterance = utterance or self.take(silence, stamp_ns)
        return utterance

    def forget(self) -> None:
        """Leave out what was begun, and begin in silence."""
        self._begin(self._make())

    def _begin(self, endpointer: Endpointer) -> None:
        self._endpointer = endpointer
        self._frames: deque[bytes] = deque()
        self._stamps: deque[int] = deque()
        self._num_taken = 0
        self._num_spoken = 0  # frames up to the last with speech
        self._is_open = False
        self._is_rest = False  # of an utterance that was cut

    def _frames_in(self, seconds: float) -> int:
        return round(seconds / self._frame_s)

    def _keep(self, num_frames: int) -> None:
        while len(self._frames) > num_frames:
            self._frames.popleft()
            self._stamps.popleft()

    @property
    def _num_behind(self) -> int:
        """Frames behind the last with speech."""
        return self._num_taken - self._num_spoken

    def _cut(self) -> Utterance | None:
        """End an utterance that goes on."""
        utterance = None
        if not self._is_rest:
            utterance = Utterance(b''.join(self._frames), self._stamps[-1], is_cut=True)
        self._is_rest = True
        self._keep(self._num_before)
        return utterance

    def _close(self) -> Utterance | None:
        """End an utterance that a pause follows."""
        num_left = max(self._num_behind - self._num_after, 0)
        utterance = None
        if not self._is_rest:
            frames = list(self._frames)
            sound = b''.join(frames[: len(frames) - num_left])
            utterance = Utterance(sound, self._stamps[-self._num_behind - 1])
        self._is_open = self._is_rest = False
        self._keep(min(num_left, self._num_before))
        return utterance
