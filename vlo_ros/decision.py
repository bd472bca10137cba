# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Silence or respond: the one rule, used live and in evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def decide(
    logits_NK: torch.Tensor, silence_id: int, thresholds_N: Sequence[float]
) -> list[tuple[float, bool]]:
    """Judge N frames.

    A frame is silent when the silence token is the most likely one and its probability reaches
    the threshold (official implementation, demo/inference.py: below the threshold the silence
    probability is set to 0 before the argmax).

    Args:
        logits_NK: Logits at each frame's last token, over a vocabulary of K.
        silence_id: Id whose prediction means silence.
        thresholds_N: Silence threshold of each frame.

    Returns:
        For each frame p(silence) and whether it stays silent.
    """
    probabilities_NK = logits_NK.float().softmax(dim=-1)
    # One transfer to the host, however many frames.
    judged_2N = torch.stack(
        (probabilities_NK[:, silence_id], (probabilities_NK.argmax(dim=-1) == silence_id).float())
    ).tolist()
    return [
        (p_silence, bool(is_best) and p_silence >= threshold)
        for p_silence, is_best, threshold in zip(*judged_2N, thresholds_N, strict=True)
    ]
