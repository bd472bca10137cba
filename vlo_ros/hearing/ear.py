# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hears without a break: one thread reads sound and cuts it, another recognises what was cut out.

Reading never waits for recognition where the sound is live. Then utterances that wait are bounded,
and the oldest is dropped and counted; a file waits instead, nothing of it is lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from vlo_ros.errors import VloError, one_line
from vlo_ros.hearing.recognisers import Recogniser
from vlo_ros.hearing.sound import Sound
from vlo_ros.hearing.utterances import Utterance, UtteranceCutter

CAPACITY = 4
STOP_S = 0.05  # between two attempts to end what is being recognised


@dataclass
class Counts:
    """What became of what was said; each utterance is counted once, besides as cut."""

    understood: int = 0
    not_understood: int = 0  # no phrase, no words
    failed: int = 0  # the recogniser did
    dropped: int = 0  # waited while newer ones came
    interrupted: int = 0  # begun, or not recognised yet, when it had to stop
    cut: int = 0  # longer than is kept

    def __str__(self) -> str:
        """Return one line."""
        counts = [(name.replace('_', ' '), count) for name, count in vars(self).items()]
        return ', '.join(f'{count} {name}' for name, count in counts if count) or 'nothing heard'


class Ear:
    """Turns sound into text, each with the time when it was said.

    Attributes:
        counts: What became of what was said.
        num_frames: Frames of sound that were read.
    """

    def __init__(
        self,
        sound: Sound,
        cutter: UtteranceCutter,
        recogniser: Recogniser,
        *,
        now_ns: Callable[[], int],
        is_deaf: Callable[[], bool],
        on_text: Callable[[str, int], None],
        on_end: Callable[[str], None],
        note: Callable[[str, str], None],
    ) -> None:
        """Take the parts; `start` begins.

        Args:
            sound: What to hear.
            cutter: Finds utterances in it.
            recogniser: Finds words in them.
            now_ns: The clock of the stamps, ns.
            is_deaf: Whether live sound is to be left out now.
            on_text: Told what was said, and the stamp of its end.
            on_end: Told when the sound has ended and all of it is recognised, and why: '' or a
                failure. Not told after `stop`.
            note: Told what went wrong: a kind, and one line.
        """
        self.counts = Counts()
        self.num_frames = 0
        self._sound = sound
        self._cutter = cutter
        self._recogniser = recogniser
        self._now_ns = now_ns
        self._is_deaf = is_deaf
        self._on_text = on_text
        self._on_end = on_end
        self._note = note
        self._waiting: deque[Utterance] = deque()
        self._changed = threading.Condition()
        self._is_read = False
        self._is_stopped = False
        self._was_deaf = False
        self._reason = 'the thread that reads sound broke'
        self._threads = [
            threading.Thread(target=self._read, name='hear'),
            threading.Thread(target=self._recognise, name='recognise'),
        ]

    def start(self) -> None:
        """Begin to hear."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hear no more, and wait until both threads have ended."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._sound.stop()
        for thread in self._threads:
            while thread.is_alive():
                self._recogniser.stop()
                thread.join(STOP_S)
        self.counts.interrupted += len(self._waiting)
        self._waiting.clear()

    # -- reading ---------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            for frame in self._sound.frames(self._cutter.frame_bytes):
                if self._is_stopped:
                    break
                self._hear(frame)
            self._put(self._cutter.finish())
            self._reason = ''
        except VloError as error:
            self._reason = one_line(error)
            self._leave_out('somebody spoke when the sound broke off: left out')
        finally:
            with self._changed:
                self._is_read = True
                self._changed.notify_all()

    def _hear(self, frame: bytes) -> None:
        self.num_frames += 1
        is_deaf = self._sound.is_live and self._is_deaf()
        if is_deaf and not self._was_deaf:
            self._leave_out('somebody spoke when listening had to stop: left out')
        elif not is_deaf:
            self._put(self._cutter.take(frame, self._now_ns()))
        self._was_deaf = is_deaf

    def _leave_out(self, line: str) -> None:
        """Forget what was begun; if that is anything, count it and say `line`."""
        if self._cutter.is_open:
            self.counts.interrupted += 1
            self._note('interrupted', line)
        self._cutter.forget()

    def _put(self, utterance: Utterance | None) -> None:
        if utterance is None:
            return
        if utterance.is_cut:
            self.counts.cut += 1
            self._note('cut', f'speech without a pause was cut after {utterance.seconds:.0f} s')
        with self._changed:
            is_full = len(self._waiting) == CAPACITY
            if is_full and self._sound.is_live:
                self._waiting.popleft()
                self.counts.dropped += 1
            elif is_full:
                self._changed.wait_for(lambda: len(self._waiting) < CAPACITY or self._is_stopped)
            self._waiting.append(utterance)
            self._changed.notify_all()
        if is_full and self._sound.is_live:
            self._note('dropped', 'recognition is slower than speech: the oldest was dropped')

    # -- recognising -----------------------------------------------------------------------

    def _recognise(self) -> None:
        reason = 'the thread that recognises broke'
        try:
            self._recognise_all()
            reason = self._reason
        finally:
            if not self._is_stopped:
                self._on_end(reason)

    def _recognise_all(self) -> None:
        while (utterance := self._take()) is not None:
            try:
                text = self._recogniser.recognise(utterance)
            except (VloError, OSError) as error:
                self.counts.failed += 1
                self._note('failed', f'not understood: {one_line(error)}')
                continue
            if self._is_stopped:
                self._waiting.appendleft(utterance)  # `stop` counts what waits
                return
            if text:
                self.counts.understood += 1
                self._on_text(text, utterance.end_ns)
            else:
                self.counts.not_understood += 1
                self._note('nothing', f'{utterance.seconds:.1f} s of speech were not understood')

    def _take(self) -> Utterance | None:
        """Wait for the next utterance; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_read or self._is_stopped)
            if self._is_stopped or not self._waiting:
                return None
            utterance = self._waiting.popleft()
            self._changed.notify_all()
            return utterance
