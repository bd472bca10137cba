# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode as an mp4 file."""

import av
import numpy as np
import pytest

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.video import write_mp4


def test_mp4_shows_the_episode(tmp_path):
    episode = Episode(3, 'new')
    write_mp4(tmp_path / 'a.mp4', episode, seconds=2.0, size=96, fps=10, start=5.0)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        pictures = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    assert len(pictures) == 20
    assert np.abs(pictures[7].astype(float) - episode.frame(5.7, 96)).mean() < 12


def test_odd_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match='size: got 97'):
        write_mp4(tmp_path / 'a.mp4', Episode(0), 1.0, 97)
