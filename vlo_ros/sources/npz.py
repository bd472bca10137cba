# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An array of frames: `.npz` with `frames`, uint8 RGB (N, 3, H, W)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources.recording import stamp_of

MEMBER = 'frames.npy'
_DAMAGE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError)


class NpzRecording:
    """Reads the frames one by one, however large the array is."""

    def __init__(self, path: Path) -> None:
        """Check that `path` holds frames."""
        self.path = path
        self.duration_s: float | None = None
        try:
            with zipfile.ZipFile(path) as archive:
                if MEMBER not in archive.namelist():
                    raise SourceError(f"{path}: it holds no array 'frames'")
                with archive.open(MEMBER) as file:
                    self.shape_CHW, self.num_frames = self._read_header(file)
        except _DAMAGE as error:
            raise SourceError(f'{path}: not a readable .npz: {one_line(error)}') from error

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Yield frame i with the stamp i / frame_fps."""
        self.duration_s = self.num_frames / sampler.frame_fps
        num_bytes = int(np.prod(self.shape_CHW))
        index = 0
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(MEMBER) as file:
                self._read_header(file)
                for index in range(self.num_frames):
                    data = file.read(num_bytes)
                    if len(data) < num_bytes:
                        raise EOFError('the array is cut short')
                    image_CHW = np.frombuffer(data, np.uint8).reshape(self.shape_CHW)
                    yield Frame(
                        stamp_of(index, sampler.frame_fps), index, image_CHW.transpose(1, 2, 0)
                    )
        except _DAMAGE as error:
            raise SourceError(
                f'{self.path}: damaged after {index} frames: {one_line(error)}'
            ) from error

    def _read_header(self, file: IO[bytes]) -> tuple[tuple[int, int, int], int]:
        """Read the array's header; return (C, H, W) and N."""
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
        if len(shape) != 4 or shape[1] != 3 or dtype != np.uint8 or is_fortran or not all(shape):
            raise SourceError(
                f"{self.path}: 'frames' is {dtype} {shape}, expected uint8 (N, 3, H, W) in C order"
            )
        return (3, int(shape[2]), int(shape[3])), int(shape[0])
