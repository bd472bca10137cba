# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered world keeps its promises: same seed same episode, splits apart, words true."""

from itertools import pairwise

import numpy as np
import pytest

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world import vocabulary as words

SEEDS = range(8)


def pairs_in(episode):
    return {(thing.kind, thing.colour) for thing in episode.things}


@pytest.mark.parametrize('split', words.SPLITS)
def test_same_seed_gives_same_pictures_and_words_in_any_order(split):
    first, second = Episode(5, split), Episode(5, split)
    second.frame(70.0, 32)  # ask far ahead first: the story must not depend on the order
    for time in (0.0, 3.2, 17.5, 44.4):
        assert np.array_equal(first.frame(time, 64), second.frame(time, 64))
    assert first.narrations(0, 60) == second.narrations(0, 60)
    assert first.questions(31.0) == second.questions(31.0)


def test_another_seed_or_split_is_another_episode():
    stories = {
        tuple(n.text for n in Episode(seed, split).narrations(0, 60))
        for seed in SEEDS
        for split in words.SPLITS
    }
    assert len(stories) == len(SEEDS) * len(words.SPLITS)


def test_held_out_pairs_are_only_in_their_split():
    for seed in range(40):
        assert pairs_in(Episode(seed, 'pairs')) <= words.HELD_OUT_PAIRS
        for split in ('train', 'new', 'background'):
            assert not pairs_in(Episode(seed, split)) & words.HELD_OUT_PAIRS, (seed, split)


def test_each_type_and_colour_is_held_out_evenly():
    kinds = [kind for kind, _ in words.HELD_OUT_PAIRS]
    colours = [colour for _, colour in words.HELD_OUT_PAIRS]
    assert sorted(kinds) == list(range(len(words.OBJECT_TYPES)))
    assert {colours.count(c) for c in range(len(words.COLOURS))} == {2}


def test_held_out_tables_are_only_in_their_split():
    assert not set(words.TRAIN_TEXTURES) & set(words.HELD_OUT_TEXTURES)
    for seed in SEEDS:
        assert set(Episode(seed, 'background').tables) <= set(words.HELD_OUT_TEXTURES)
        for split in ('train', 'new', 'pairs'):
            assert set(Episode(seed, split).tables) <= set(words.TRAIN_TEXTURES)


@pytest.mark.parametrize('seed', SEEDS)
def test_narrations_follow_from_the_state(seed):
    episode = Episode(seed, 'new')
    checked = 0
    for narration in episode.narrations(0, 120):
        before, after = (
            episode.state_at(narration.time - 0.1),
            episode.state_at(narration.time + 0.05),
        )
        verb, _, rest = narration.text[4:-1].partition(' the ')
        what = f'the {rest}'
        if verb == 'pick up':
            assert what in after.held and what not in before.held
        elif verb == 'put down':
            assert what in before.held and what not in after.held
        elif verb == 'walk to':
            assert after.station == rest and after.action == 'none' and before.action == 'walk'
        elif verb == 'pour':
            source, target = what.split(' into ')
            assert source in after.held and after.target == target
            assert (before.action, after.action) == ('none', 'pour')
        elif verb == 'wipe':
            assert rest == after.station and after.action == 'wipe' != before.action
        else:
            assert after.target == what and after.action == verb != before.action
        assert after.last_event.verb == verb
        checked += 1
    assert checked > 20


@pytest.mark.parametrize('seed', SEEDS)
def test_a_narration_can_be_seen_in_the_picture(seed):
    """The picture right after the evidence differs from the one right before, without noise."""
    episode = Episode(seed, 'new')
    for narration in episode.narrations(0, 60):
        before = episode.frame(narration.time - 0.6, 96).astype(float)
        after = episode.frame(narration.time + 0.1, 96).astype(float)
        blocks = np.abs(before - after).reshape(12, 8, 12, 8, 3).mean((1, 3, 4))
        assert blocks.max() > 15, narration


def test_narrations_are_far_enough_apart_for_two_frames_a_second():
    for seed in SEEDS:
        times = [n.time for n in Episode(seed, 'train').narrations(0, 300)]
        assert min(np.diff(times)) >= 1.2
        assert 40 < len(times) < 150


def test_nothing_is_narrated_twice_in_a_row():
    """The published builder drops a sentence that equals the one before it."""
    for seed in range(20):
        texts = [n.text for n in Episode(seed, 'train').narrations(0, 300)]
        assert all(first != second for first, second in pairwise(texts)), seed


def test_an_episode_never_ends():
    episode = Episode(2, 'new')
    assert len(episode.narrations(1800, 1860)) > 8
    assert episode.frame(1805.0, 48).shape == (48, 48, 3)


def test_both_kinds_of_text_tell_the_same():
    for narration in Episode(1, 'train').narrations(0, 60):
        assert narration.text.startswith('You ') and narration.text.endswith('.')
        assert narration.ego4d_text.startswith('#C C ')
        tail = narration.text.split(' the ', 1)[1].rstrip('.')
        assert narration.ego4d_text.endswith(tail)


def test_frames_follow_the_clock():
    episode = Episode(4, 'train')
    frames = episode.frames(2, 32, start=1.5)
    times = [next(frames)[0] for _ in range(4)]
    assert times == [1.5, 2.0, 2.5, 3.0]


@pytest.mark.parametrize('size', [32, 96, 97, 384])
def test_any_size_can_be_drawn(size):
    picture = Episode(0).frame(8.0, size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8


def test_sizes_show_the_same_moment():
    small, large = Episode(0).frame(8.0, 96), Episode(0).frame(8.0, 384)
    other = Episode(1).frame(8.0, 96)
    shrunk = large.reshape(96, 4, 96, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 10 < np.abs(shrunk - other).mean() / 2


@pytest.mark.parametrize(
    ('arguments', 'line'), [((1, 'test'), 'split: got'), ((-1, 'train'), 'seed: got')]
)
def test_mistakes_are_one_line(arguments, line):
    with pytest.raises(ValueError, match=line) as error:
        Episode(*arguments)
    assert '\n' not in str(error.value)


def test_nameless_colours_are_only_where_asked_for():
    assert any(thing.colour < 0 for thing in Episode(0, 'train', nameless=True).things)
    assert all(thing.colour >= 0 for thing in Episode(0, 'train').things)
