# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Silence or respond."""

import math

import pytest
import torch

from vlo_ros.decision import decide

SILENCE = 2


def logits(*rows):
    """Rows of probabilities as logits."""
    return torch.tensor(rows).log()


@pytest.mark.parametrize(
    ('row', 'threshold', 'silent'),
    [
        ((0.1, 0.1, 0.8), 0.725, True),
        ((0.2, 0.1, 0.7), 0.725, False),  # the best, but not sure enough
        ((0.5, 0.1, 0.4), 0.0, False),  # a threshold of 0 leaves it to the best token
        ((0.3, 0.3, 0.4), 0.0, True),
        ((0.0, 0.0, 1.0), 1.0, True),
        ((0.0, 0.0, 1.0), 1.01, False),  # above 1 it always speaks
        ((0.6, 0.0, 0.4), 0.3, False),  # over the threshold, but another token is likelier
    ],
)
def test_silent_when_likeliest_and_sure_enough(row, threshold, silent):
    ((p_silence, is_silent),) = decide(logits(row), SILENCE, [threshold])
    assert is_silent is silent
    assert p_silence == pytest.approx(row[SILENCE], abs=1e-6)


def test_the_same_as_zeroing_the_silence_probability_before_the_argmax():
    """The published loop's rule."""
    torch.manual_seed(0)
    logits_NK = torch.randn(200, 5) * 2
    for threshold in (0.0, 0.3, 0.725, 0.99):
        for row, (p_silence, silent) in zip(
            logits_NK, decide(logits_NK, SILENCE, [threshold] * 200), strict=True
        ):
            probabilities = row.softmax(-1)
            assert p_silence == pytest.approx(float(probabilities[SILENCE]))
            if probabilities[SILENCE] < threshold:
                probabilities[SILENCE] = 0
            assert silent == (int(probabilities.argmax()) == SILENCE)


def test_every_frame_has_a_threshold_of_its_own():
    rows = logits((0.1, 0.1, 0.8), (0.1, 0.1, 0.8))
    assert [silent for _, silent in decide(rows, SILENCE, [0.9, 0.5])] == [False, True]
    with pytest.raises(ValueError, match='shorter'):
        decide(rows, SILENCE, [0.9])


def test_half_precision_is_judged_in_full():
    row = torch.tensor([[0.0, 0.0, 3.0]], dtype=torch.bfloat16)
    ((p_silence, _),) = decide(row, SILENCE, [0.5])
    assert p_silence == pytest.approx(math.exp(3) / (2 + math.exp(3)), abs=1e-6)
