# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drawing says what it is given, in sight, and leaves the picture it was given alone."""

import math

import cv2
import numpy as np
import pytest

from vlo_ros.overlay import Overlay, draw_overlay

FULL = Overlay('You lift the cup.', 'What do I hold?', 0.5, 0.725, 0.1)


def grey(height=480, width=640):
    return np.full((height, width, 3), 120, np.uint8)


def test_nothing_to_say_changes_nothing_and_copies():
    image = grey()
    drawn = draw_overlay(image, Overlay())
    assert np.array_equal(drawn, image)
    drawn[:] = 0
    assert image.min() == 120


def test_the_picture_given_is_left_alone():
    image = grey()
    draw_overlay(image, FULL)
    assert (image == 120).all()


@pytest.mark.parametrize('p_silence', [0.0, 0.25, 0.5, 1.0])
def test_the_bar_is_as_long_as_silence_is_likely(p_silence):
    drawn = draw_overlay(grey(), Overlay(p_silence=p_silence)).astype(int)
    blue = (drawn[..., 2] > 200) & (drawn[..., 0] < 120)
    full = draw_overlay(grey(), Overlay(p_silence=1.0)).astype(int)
    most = ((full[..., 2] > 200) & (full[..., 0] < 120)).any(axis=0).sum()
    assert blue.any(axis=0).sum() == pytest.approx(p_silence * most, abs=2)


def test_the_bar_is_orange_while_it_speaks():
    silent = draw_overlay(grey(), Overlay(p_silence=0.9)).reshape(-1, 3)
    speaking = draw_overlay(grey(), Overlay(p_silence=0.9, is_speaking=True)).reshape(-1, 3)
    orange = (255, 160, 60)
    assert not (silent == orange).all(axis=1).any()
    assert (speaking == orange).all(axis=1).any()


def test_the_threshold_is_marked_where_it_is():
    marked = draw_overlay(grey(), Overlay(p_silence=0.0, silence_threshold=0.5))
    plain = draw_overlay(grey(), Overlay(p_silence=0.0))
    columns = np.flatnonzero((marked != plain).any(axis=(0, 2)))
    bar = np.flatnonzero((draw_overlay(grey(), Overlay(p_silence=1.0)) != plain).any(axis=(0, 2)))
    assert columns.mean() == pytest.approx((bar.min() + bar.max()) / 2, abs=3)


def test_the_caption_stands_at_the_bottom_and_the_rest_is_untouched():
    drawn = draw_overlay(grey(), Overlay('You lift the cup.'))
    assert (drawn[:300] == 120).all()
    assert (drawn[380:] > 240).any()  # white, or nearly: OpenCV 4 draws thinner letters than 5


def test_a_long_caption_stays_inside_its_band():
    drawn = draw_overlay(grey(), Overlay('a word ' * 200))
    assert (drawn[:200] == 120).all()
    assert not (drawn[-60:, -2:] > 120).any()


@pytest.mark.parametrize('value', [None, math.nan])
def test_what_is_not_known_is_left_out(value):
    drawn = draw_overlay(grey(), Overlay(p_silence=value, latency_s=value))
    assert np.array_equal(drawn, grey())


def difference(one, other):
    """Rows and columns in which two pictures differ."""
    differs = (one != other).any(axis=2)
    return np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))


@pytest.mark.parametrize('p_silence', [None, 0.5])
def test_the_latency_stands_above_the_bar(p_silence):
    drawn = draw_overlay(grey(), Overlay(p_silence=p_silence, latency_s=0.25))
    rows, _ = difference(drawn, draw_overlay(grey(), Overlay(p_silence=p_silence)))
    assert (drawn[rows] > 180).all(axis=2).any()
    assert rows.max() < 60


@pytest.mark.parametrize(
    ('latency_s', 'words'),
    [(0.25, '250 ms'), (0.9994, '999 ms'), (1.0, '1.0 s'), (12.34, '12.3 s'), (-2.0, '-2.0 s')],
)
def test_the_latency_is_written_with_its_unit(monkeypatch, latency_s, words):
    written, write = [], cv2.putText

    def note(canvas, text, *arguments):
        written.append(text)
        return write(canvas, text, *arguments)

    monkeypatch.setattr(cv2, 'putText', note)
    draw_overlay(grey(), Overlay(latency_s=latency_s))
    draw_overlay(grey(), Overlay(p_silence=0.5, latency_s=latency_s))
    assert written == [words, f'silence 0.50   {words}']


@pytest.mark.parametrize(
    'text', ['caf\u00e9', '\u4f60\u597d', '\U0001f600', 'a\tb\nc', '\x00\x1b[1m']
)
def test_any_text_can_be_drawn(text):
    assert draw_overlay(grey(), Overlay(caption=text, query=text)).shape == (480, 640, 3)


@pytest.mark.parametrize(
    ('height', 'width', 'factor'),
    [
        (1, 1, 480),
        (96, 96, 5),
        (7, 479, 2),
        (300, 100, 3),  # not beyond MOST_HEIGHT
        (2000, 3, 1),
        (480, 640, 1),
        (40, 3000, 1),
    ],
)
def test_any_size_can_be_drawn_and_small_ones_are_enlarged_whole(height, width, factor):
    drawn = draw_overlay(grey(height, width), FULL)
    assert drawn.shape == (height * factor, width * factor, 3)
