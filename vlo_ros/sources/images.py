# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images in natural order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import Frame
from vlo_ros.image_message import Image, to_rgb
from vlo_ros.sampling import Sampler
from vlo_ros.sources.recording import stamp_of

CHECKED_SUFFIXES = ('.jpg', '.jpeg', '.png')
SUFFIXES = (*CHECKED_SUFFIXES, '.bmp', '.webp', '.tif', '.tiff', '.ppm')


class ImagesRecording:
    """Reads every image of a folder; other files are left alone."""

    def __init__(self, folder: Path) -> None:
        """List the images of `folder`."""
        self.folder = folder
        self.duration_s: float | None = None
        self.paths = sorted(
            (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES),
            key=lambda path: natural_key(path.name),
        )
        if not self.paths:
            raise SourceError(
                f'{folder}: neither a bag (metadata.yaml, .mcap, .db3) nor images '
                f'({", ".join(SUFFIXES)}) in this folder'
            )

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Yield image i with the stamp i / frame_fps."""
        self.duration_s = len(self.paths) / sampler.frame_fps
        for index, path in enumerate(self.paths):
            yield Frame(stamp_of(index, sampler.frame_fps), index, read_image(path))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that counts: frame_2 comes before frame_10."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part.lower())
        for part in re.split(r'(\d+)', name)
        if part
    ]


def read_image(path: Path) -> Image:
    """Read an image file as RGB.

    Raises:
        SourceError: It cannot be read, or is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f'{path}: {error.strerror or error}') from error
    if path.suffix.lower() in CHECKED_SUFFIXES:
        try:
            return to_rgb(SimpleNamespace(format=path.suffix, data=data))
        except SourceError as error:
            raise SourceError(f'{path}: {error}') from error
    try:
        image_HWC = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f'{path}: {one_line(error)}') from error
    if image_HWC is None:
        raise SourceError(f'{path}: not an image that OpenCV reads')
    return np.asarray(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2RGB), dtype=np.uint8)
