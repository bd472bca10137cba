# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of the tower are what the picture shows."""

import numpy as np
import pytest

from training.rendered_world.labels import CELL_LABELS, GLOBAL_LABELS, IGNORE, label
from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world import vocabulary as words

GRID = 6


def named(values, classes):
    return dict(zip(classes, values.tolist(), strict=True))


@pytest.mark.parametrize('seed', range(4))
def test_whole_labels_agree_with_the_state(seed):
    episode = Episode(seed, 'new')
    for tick in range(0, 600, 11):
        state = episode.state_at(tick / 10)
        whole = named(label(episode, tick / 10, GRID).whole, GLOBAL_LABELS)
        for side, held in zip(words.SIDES, state.held, strict=True):
            kind, colour = whole[f'{side}_type'], whole[f'{side}_colour']
            if held:
                assert held == f'the {words.COLOURS[colour - 1]} {words.OBJECT_TYPES[kind - 1]}'
            else:
                assert kind == colour == 0
        assert words.ACTIONS[whole['action']] == state.action
        walking = state.action == 'walk'
        assert whole['station'] == (4 if walking else words.STATIONS.index(state.station))
        if state.target:
            kind, colour = whole['target_type'], whole['target_colour']
            assert (
                state.target == f'the {words.COLOURS[colour - 1]} {words.OBJECT_TYPES[kind - 1]}'
            )


def count_coloured_patches(seed):
    """Labelled patches that hold their label's colour, and those that do not."""
    episode = Episode(seed, 'new')
    time = next(t for t in range(3, 90) if episode.state_at(t).action == 'none')
    picture = episode.frame(time, 96).astype(float)
    patches = label(episode, time, GRID).patches.reshape(GRID, GRID, 3)
    table = np.median(picture[24:].reshape(-1, 3), axis=0)
    right = wrong = 0
    for row in range(GRID):
        for column in range(GRID):
            kind, colour, _ = patches[row, column]
            if kind == 0:
                continue
            patch = picture[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16].reshape(
                -1, 3
            )
            wanted = np.array(words.COLOUR_RGB[colour - 1], float)
            near = np.abs(patch - wanted).sum(1) < np.abs(patch - table).sum(1)
            right, wrong = right + bool(near.mean() > 0.1), wrong + bool(near.mean() <= 0.1)
    return right, wrong


def test_a_labelled_patch_has_the_colour_it_is_labelled_with():
    right, wrong = np.sum([count_coloured_patches(seed) for seed in range(12)], axis=0)
    assert right > 50 and right > 6 * wrong, (right, wrong)


def test_colours_without_a_name_are_not_learned():
    episode = Episode(0, 'train', nameless=True)
    cells = np.concatenate([label(episode, t, GRID).patches for t in range(0, 40, 2)])
    kind, colour = (list(CELL_LABELS).index(name) for name in ('type', 'colour'))
    nameless = cells[:, colour] == IGNORE
    assert nameless.any() and (cells[nameless, kind] > 0).all()
