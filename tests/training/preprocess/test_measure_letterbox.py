# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our letterbox against FFmpeg's own filters, in shape and in decibels."""

import numpy as np
import pytest

from training.preprocess.measure_letterbox import encoded_again, psnr, published_letterbox
from vlo_ros.vision import letterbox


def picture(height: int, width: int) -> np.ndarray:
    """Smooth colours, some edges: no noise that two scalers would treat differently."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    channels = [rows, columns, (rows + columns) / 2]
    image = np.stack(channels, axis=2) * 200 + 30
    image[height // 4 : height // 2, width // 4 : width // 2] = (220, 60, 40)
    return image.astype(np.uint8)


@pytest.mark.parametrize(
    ('height', 'width'),
    [(144, 176), (176, 144), (240, 320), (360, 640), (200, 200), (1080, 1920), (478, 640)],
)
def test_it_is_where_and_what_ffmpeg_makes_of_it(height, width):
    image = picture(height, width)
    (frame,) = published_letterbox([image], 384)
    ours = letterbox(image, 384).permute(1, 2, 0).numpy()
    theirs = frame.to_ndarray(format='rgb24')
    assert ours.shape == theirs.shape
    assert psnr(ours, theirs) > 36
    # A picture one row or column off would not do.
    moved = [psnr(np.roll(ours, 1, axis), theirs) for axis in (0, 1)]
    assert psnr(ours, theirs) > max(moved) + 3


def test_encoding_again_keeps_the_frames():
    frames = published_letterbox([picture(240, 320)] * 3, 96)
    encoded = encoded_again(frames, 96)
    assert len(encoded) == 3
    assert psnr(encoded[0], frames[0].to_ndarray(format='rgb24')) > 25


def test_equal_images_have_a_finite_ratio():
    image = picture(8, 8)
    assert psnr(image, image) == 100.0
    assert psnr(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == 0.0
