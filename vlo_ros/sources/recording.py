# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every source of frames offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from vlo_ros.events import NS_PER_S, Frame
from vlo_ros.sampling import Sampler

BAG_SUFFIXES = ('.mcap', '.db3')


class Recording(Protocol):
    """A recording that can be read once, from its first frame to its last."""

    @property
    def duration_s(self) -> float | None:
        """Length in seconds as far as it is known beforehand; for progress bars only."""

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Yield the wanted frames in order; an index of 0 begins a new stream.

        Args:
            sampler: Picks frames by stamp. Sources without stamps of their own (images, arrays)
                give frame i the stamp i / frame_fps and want every one.

        Raises:
            SourceError: The recording cannot be read any further.
        """


def stamp_of(index: int, frame_fps: float) -> int:
    """Stamp of frame `index`, ns, where a recording has none of its own."""
    return round(index * NS_PER_S / frame_fps)
