# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of the rendered world: pictures and notes."""

import numpy as np
import pytest

from training.notes import read_topic
from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.bag import START_NS, write_bag
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source


def test_a_bag_holds_the_pictures_and_the_narrations(tmp_path):
    episode = Episode(3, 'new')
    write_bag(tmp_path / 'bag', episode, 20.0, 32)
    frames = list(open_source(str(tmp_path / 'bag')).frames(Sampler(2.0)))
    assert len(frames) == 40
    assert frames[0].stamp_ns == START_NS
    assert np.array_equal(frames[7].image_HWC, Episode(3, 'new').frame(3.5, 32))
    notes = read_topic(tmp_path / 'bag', '/notes')
    expected = [(round(n.time, 6), n.text) for n in episode.narrations(0, 20.0)]
    assert [((note.stamp_ns - START_NS) / 1e9, note.text) for note in notes] == expected
    assert len(expected) > 2


def test_nothing_is_left_of_a_bag_that_was_interrupted(tmp_path):
    class Interrupted(Episode):
        def frame(self, time, size):
            if time > 1.0:
                raise KeyboardInterrupt
            return super().frame(time, size)

    with pytest.raises(KeyboardInterrupt):
        write_bag(tmp_path / 'bag', Interrupted(3, 'new'), 20.0, 32)
    assert not (tmp_path / 'bag').exists()
