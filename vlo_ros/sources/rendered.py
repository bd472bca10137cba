# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered world as a recording: endless, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

from vlo_ros.errors import SourceError
from vlo_ros.events import Frame
from vlo_ros.rendered_world import Episode
from vlo_ros.sampling import Sampler
from vlo_ros.sources.recording import stamp_of

SIZE = 96  # pixels a side, the resolution of the bundled model's vision tower


class RenderedRecording:
    """An episode drawn as it is read."""

    def __init__(self, spec: str) -> None:
        """Take 'SEED' or 'SEED:SPLIT'."""
        seed, _, split = spec.partition(':')
        if not seed.isdecimal():
            raise SourceError(f'rendered:{spec}: expected rendered:SEED or rendered:SEED:SPLIT')
        try:
            self._episode = Episode(int(seed), split or 'new')
        except ValueError as error:
            raise SourceError(f'rendered:{spec}: {error}') from error
        self.duration_s = None

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Draw frame after frame, without end."""
        for index, (_, image_HWC) in enumerate(self._episode.frames(sampler.frame_fps, SIZE)):
            yield Frame(stamp_of(index, sampler.frame_fps), index, image_HWC)
