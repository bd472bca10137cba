# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as frames: a bag, a video, images, an array, or the rendered world.

    source = open_source('kitchen.mcap', topic=None)
    for frame in source.frames(Sampler(frame_fps=2)): ...

Whatever cannot be read is a SourceError of one line. A recording that is damaged part of the way
gives every frame up to there, then raises.
"""

from vlo_ros.sources.opening import open_source
from vlo_ros.sources.recording import Recording

__all__ = ['Recording', 'open_source']
