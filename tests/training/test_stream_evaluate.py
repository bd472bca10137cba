# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The four teacher-forced metrics are those of the official implementation."""

from __future__ import annotations

import pytest
import torch

from tests.training.golden import CASES, VARIANTS, Golden, load_golden, load_live
from training.stream_evaluate import mean_score, split_turns, stream_evaluate
from vlo_ros.checkpoint import VloModel
from vlo_ros.page import IGNORE

METRICS = ('lm_ppl', 'frame_diff', 'fluency', 'lm_correctness')


def evaluate(golden: Golden, live: VloModel, name: str, *, official: bool):
    expected = golden.conversation(name)
    example = golden.example(expected)
    with torch.no_grad():
        tokens = live.connector(example.features)
    thresholds = [float(key) for key in expected['stream_evaluate']]
    return stream_evaluate(
        live.language, live.template, example.rendered, tokens, thresholds, official=official
    )


@pytest.mark.parametrize(('variant', 'name'), CASES)
def test_scores_are_the_official_ones(variant: str, name: str) -> None:
    golden = load_golden(variant)
    expected = golden.conversation(name)
    loss, scores = evaluate(golden, load_live(variant), name, official=True)
    assert loss == pytest.approx(expected['loss'], abs=1e-4)
    for key, wanted in expected['stream_evaluate'].items():
        score = scores[float(key)]
        assert score.num_forwards == wanted['forward_passes']
        found = {metric: getattr(score, metric) for metric in METRICS}
        assert found == pytest.approx({m: wanted[m] for m in METRICS}, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize('variant', list(VARIANTS))
def test_a_skipped_turn_still_counts_its_frames(variant: str) -> None:
    """Corrected by default: the frames looked at are those of the next turn."""
    golden, live = load_golden(variant), load_live(variant)
    for name in ('sampled_3', 'late_by_two'):  # every turn is learned: nothing to correct
        official = evaluate(golden, live, name, official=True)
        assert evaluate(golden, live, name, official=False) == official
    example = golden.example(golden.conversation('skipped_turn_then_late'))
    learned = [place for place, label in enumerate(example.rendered.labels) if label != IGNORE]
    right, wrong = (
        split_turns(example.rendered, live.template, learned, flag) for flag in (False, True)
    )
    counts = [turn.num_frames for turn in right]
    assert [turn.first_frame for turn in right] == [sum(counts[:i]) for i in range(len(counts))]
    assert wrong[-1].first_frame < right[-1].first_frame


def test_mean_over_conversations_is_in_seconds() -> None:
    golden, live = load_golden('live1plus'), load_live('live1plus')
    scores = [evaluate(golden, live, n, official=True)[1][0.0] for n in ('sampled_1', 'sampled_3')]
    metrics = mean_score(scores, fps=2.0)
    assert metrics['time_diff'] == pytest.approx((scores[0].frame_diff + scores[1].frame_diff) / 4)
    assert mean_score([], fps=2.0) == {}
