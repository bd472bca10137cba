# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of images, arrays, the rendered world, and names that are nothing of the kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.recordings import cut, grey
from vlo_ros.errors import SourceError
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source
from vlo_ros.sources.images import natural_key


def read(name: str | Path, fps: float = 2.0) -> list[Frame]:
    return list(open_source(str(name)).frames(Sampler(fps)))


def values(frames: list[Frame]) -> list[int]:
    return [int(frame.image_HWC[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'jpg', 'PNG'])
def test_images_come_in_natural_order(tmp_path: Path, suffix: str) -> None:
    for value in (0, 1, 2, 9, 10, 11, 100):
        cv2.imwrite(str(tmp_path / f'frame_{value}.{suffix}'), grey(value))
    (tmp_path / 'notes.txt').write_text('left alone')
    frames = read(tmp_path, fps=4)
    assert values(frames) == [0, 1, 2, 9, 10, 11, 100]
    assert [frame.stamp_ns for frame in frames] == [i * 250_000_000 for i in range(7)]
    assert [frame.index for frame in frames] == list(range(7))


def test_natural_order_counts() -> None:
    names = ['a10', 'a9', 'a', 'B1', '2', '10', 'a1b2', 'a1b10', '002']
    in_order = sorted(names, key=natural_key)
    assert in_order.index('a9') < in_order.index('a10')
    assert in_order.index('a1b2') < in_order.index('a1b10')
    assert in_order.index('2') < in_order.index('10') < in_order.index('a')


def test_images_are_rgb(tmp_path: Path) -> None:
    red_BGR = np.zeros((8, 8, 3), np.uint8)
    red_BGR[:, :, 2] = 200
    for suffix in ('png', 'bmp'):
        cv2.imwrite(str(tmp_path / f'red.{suffix}'), red_BGR)
    for frame in read(tmp_path):
        assert frame.image_HWC[0, 0].tolist() == [200, 0, 0]


def test_a_damaged_image_ends_the_folder_where_it_lies(tmp_path: Path) -> None:
    for value in range(4):
        cv2.imwrite(str(tmp_path / f'{value}.png'), grey(value))
    cut(tmp_path / '2.png', 0.5)
    frames: list[Frame] = []
    with pytest.raises(SourceError, match=r'2\.png.*cut short'):
        for frame in open_source(str(tmp_path)).frames(Sampler(2)):
            frames.append(frame)
    assert values(frames) == [0, 1]


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_every_frame_of_an_array_is_wanted(tmp_path: Path, save) -> None:
    array = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 8, 8), np.uint8)
    save(tmp_path / 'a.npz', other=np.zeros(3), frames=array)
    frames = read(tmp_path / 'a.npz', fps=3)
    assert values(frames) == list(range(7))
    assert [frame.stamp_ns for frame in frames] == [round(i * 1e9 / 3) for i in range(7)]
    assert frames[3].image_HWC.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ('arrays', 'says'),
    [
        ({'pictures': np.zeros((2, 3, 8, 8), np.uint8)}, "it holds no array 'frames'"),
        ({'frames': np.zeros((2, 8, 8, 3), np.uint8)}, r'expected uint8 \(N, 3, H, W\)'),
        ({'frames': np.zeros((2, 3, 8, 8), np.float32)}, 'float32'),
        ({'frames': np.zeros((0, 3, 8, 8), np.uint8)}, r'\(0, 3, 8, 8\)'),
        ({'frames': np.array(None)}, 'object'),
    ],
)
def test_an_array_of_another_kind_is_refused(tmp_path: Path, arrays, says: str) -> None:
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(SourceError, match=says):
        read(tmp_path / 'a.npz')


def test_a_cut_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / 'a.npz', frames=np.zeros((4, 3, 32, 32), np.uint8))
    with pytest.raises(SourceError, match=r'not a readable \.npz'):
        read(cut(tmp_path / 'a.npz', 0.5))


def test_a_damaged_array_gives_what_lies_before_the_damage(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, (64, 3, 64, 64), dtype=np.uint8)
    np.savez(tmp_path / 'a.npz', frames=random)
    data = bytearray((tmp_path / 'a.npz').read_bytes())
    data[-2000] ^= 255
    (tmp_path / 'a.npz').write_bytes(data)
    frames: list[Frame] = []
    with pytest.raises(SourceError, match=r'damaged after \d+ frames') as caught:
        for frame in open_source(str(tmp_path / 'a.npz')).frames(Sampler(2)):
            frames.append(frame)
    assert len(frames) > 30
    assert '\n' not in str(caught.value)


def test_the_rendered_world_is_the_same_again() -> None:
    source = [open_source('rendered:5').frames(Sampler(2)) for _ in range(2)]
    for _ in range(4):
        first, second = next(source[0]), next(source[1])
        assert (first.stamp_ns, first.index) == (second.stamp_ns, second.index)
        np.testing.assert_array_equal(first.image_HWC, second.image_HWC)


@pytest.mark.parametrize('name', ['rendered:', 'rendered:x', 'rendered:1:nowhere', 'rendered:-1'])
def test_a_rendered_world_needs_a_seed(name: str) -> None:
    with pytest.raises(SourceError, match='rendered:'):
        open_source(name)


def test_says_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='no such file or folder; accepted: a rosbag2'):
        open_source(str(tmp_path / 'nothing'))
    with pytest.raises(SourceError, match=r'neither a bag .* nor images'):
        open_source(str(tmp_path))
    np.savez(tmp_path / 'a.npz', frames=np.zeros((1, 3, 8, 8), np.uint8))
    with pytest.raises(SourceError, match='--topic is for bags'):
        open_source(str(tmp_path / 'a.npz'), topic='/camera')
