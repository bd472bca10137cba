# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sound whose speech is written on it."""

FRAME_S = 0.03
FRAME_BYTES = 960


class Marked:
    """An endpointer that a frame's first byte tells what is speech; late, as the real one."""

    frame_bytes, frame_length = FRAME_BYTES, FRAME_S
    LAG = 9

    def __init__(self):
        self.speech_end = 0.0
        self.in_speech = False
        self.num_taken = self.num_same = 0

    def process(self, frame):
        self.num_taken += 1
        self.num_same = self.num_same + 1 if bool(frame[0]) != self.in_speech else 0
        if self.num_same == self.LAG:
            self.in_speech = not self.in_speech
            self.num_same = 0
            if not self.in_speech:
                self.speech_end = (self.num_taken - self.LAG) * FRAME_S


def frames_of(*lengths):
    """Frames of silence, speech, silence, ...; lengths in frames, each frame with its number."""
    kinds = [index % 2 for index, length in enumerate(lengths) for _ in range(length)]
    return [
        bytes([kind]) + number.to_bytes(4) + bytes(FRAME_BYTES - 5)
        for number, kind in enumerate(kinds)
    ]
