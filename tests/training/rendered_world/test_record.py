"""Bags of the rendered world: pictures, notes, and things that no training has."""

import numpy as np

from training.notes import read_topic
from training.rendered_world.record import NEW_COLOURS, RecolouredEpisode
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


def test_new_colours_are_seen_and_said_and_the_old_ones_no_more():
    plain, recoloured = Episode(5, 'new'), RecolouredEpisode(5, 'new')
    words = ' '.join(narration.text for narration in recoloured.narrations(0, 300)).split()
    assert not set(words) & set(NEW_COLOURS)
    assert set(words) & {name for name, _ in NEW_COLOURS.values()}
    pairs = zip(plain.narrations(0, 300), recoloured.narrations(0, 300), strict=True)
    for old, new in pairs:
        assert old.time == new.time
        assert len(old.text.split()) == len(new.text.split())
    changed = [
        time for time in range(60) if (plain.frame(time, 48) != recoloured.frame(time, 48)).any()
    ]
    assert changed
