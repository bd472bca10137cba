# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that no training has."""

from training.rendered_world.recoloured import NEW_COLOURS, RecolouredEpisode
from vlo_ros.rendered_world import Episode


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
