# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video file, decoded with FFmpeg (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S, Frame
from vlo_ros.sampling import Sampler, Sampling

# Containers round their duration, and audio may outlast the pictures.
CUT_OFF_S = 1.0


class VideoRecording:
    """Reads a video's first video stream; stamps are its presentation times."""

    def __init__(self, path: Path) -> None:
        """Open `path` and find its video stream."""
        self.path = path
        try:
            self._container: Any = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise SourceError(
                f'{path}: not a video that FFmpeg reads: {_reason(error)}'
            ) from error
        if not self._container.streams.video:
            raise SourceError(f'{path}: there is no video stream in it')
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = 'AUTO'
        self.duration_s = self._announced_duration()

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Decode to the end, or to where the file is damaged or cut off."""
        first_ns: int | None = None
        stamp_ns = 0
        try:
            for number, picture in enumerate(self._container.decode(self._stream)):
                stamp_ns = self._stamp_of(picture, number)
                first_ns = stamp_ns if first_ns is None else first_ns
                if sampler.judge(stamp_ns) in (Sampling.WANTED, Sampling.RESTARTED):
                    yield Frame(stamp_ns, sampler.index, _upright(picture))
        except (av.FFmpegError, OSError) as error:
            end_s = (stamp_ns - (first_ns or 0)) / NS_PER_S
            raise SourceError(
                f'{self.path}: damaged after {end_s:.1f} s: {_reason(error)}'
            ) from error
        finally:
            self._container.close()
        if first_ns is None:
            raise SourceError(f'{self.path}: no picture could be decoded')
        end_s = (stamp_ns - first_ns) / NS_PER_S
        last_s = float(1 / self._stream.average_rate) if self._stream.average_rate else 0.0
        if self.duration_s is not None and end_s + last_s < self.duration_s - CUT_OFF_S:
            raise SourceError(
                f'{self.path}: cut off after {end_s:.1f} s of {self.duration_s:.1f} s'
            )

    def _announced_duration(self) -> float | None:
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return (
            None if self._container.duration is None else self._container.duration / av.time_base
        )

    def _stamp_of(self, picture: Any, number: int) -> int:
        if picture.pts is not None and picture.time_base is not None:
            stamp_ns: int = round(picture.pts * picture.time_base * NS_PER_S)
            return stamp_ns
        rate = self._stream.average_rate
        if not rate:
            raise SourceError(f'{self.path}: its pictures have neither times nor a frame rate')
        stamp_ns = round(number * NS_PER_S / rate)
        return stamp_ns


def _upright(picture: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """RGB image, turned as the file says a player should (phones film sideways)."""
    image_HWC = picture.to_ndarray(format='rgb24')
    return np.rot90(image_HWC, round(picture.rotation / 90)) if picture.rotation else image_HWC


def _reason(error: Exception) -> str:
    """FFmpeg's words alone; the path is said already."""
    return getattr(error, 'strerror', None) or one_line(error)
