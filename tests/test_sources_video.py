# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos: presentation times, rotation, and files that are cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.recordings import cut, frames_before_break, write_video
from vlo_ros.errors import SourceError
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source


def read(path: Path, fps: float = 10.0) -> list[Frame]:
    return list(open_source(str(path)).frames(Sampler(fps)))


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.avi'])
def test_stamps_are_presentation_times(tmp_path: Path, suffix: str) -> None:
    frames = read(write_video(tmp_path / f'video{suffix}'))
    assert [frame.index for frame in frames] == list(range(30))
    times = [(frame.stamp_ns - frames[0].stamp_ns) / 1e9 for frame in frames]
    np.testing.assert_allclose(times, np.arange(30) / 10, atol=1e-3)
    levels = [float(frame.image_HWC.mean()) for frame in frames]
    np.testing.assert_allclose(levels, 4 * np.arange(30), atol=6)
    assert frames[0].image_HWC.shape == (64, 128, 3)


def test_samples_by_time_not_by_count(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / 'video.mp4', fps=25, number=50), fps=2)
    assert len(frames) == 4
    assert [frame.stamp_ns / 1e9 for frame in frames] == pytest.approx(
        [0, 0.52, 1, 1.52], abs=0.01
    )


def test_reads_the_same_twice(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'video.mp4')
    for first, second in zip(read(path), read(path), strict=True):
        assert first.stamp_ns == second.stamp_ns
        np.testing.assert_array_equal(first.image_HWC, second.image_HWC)


def test_what_lies_before_a_cut_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'video.mp4', number=60, movflags='faststart')
    frames, said = frames_before_break(cut(path, 0.6))
    assert 10 < len(frames) < 50
    assert '\n' not in said
    assert 'video.mp4: damaged after' in said or 'video.mp4: cut off after' in said


def test_a_video_without_its_index_is_refused(tmp_path: Path) -> None:
    path = cut(write_video(tmp_path / 'video.mp4'), 0.8)
    with pytest.raises(
        SourceError, match=r'not a video that FFmpeg reads: Invalid data|no video stream'
    ) as caught:
        read(path)
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize('content', [b'', b'this is text, not a video\n'])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'notes.mp4'
    path.write_bytes(content)
    with pytest.raises(SourceError, match='not a video that FFmpeg reads') as caught:
        read(path)
    assert '\n' not in str(caught.value)
