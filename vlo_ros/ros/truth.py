# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what is said about the rendered world with what is so."""

from __future__ import annotations

from vlo_ros.rendered_world import Episode

# A narration may come this long before or after the moment it can first be seen.
EARLY_S, LATE_S = 0.5, 3.0


class RenderedTruth:
    """Running score of the narrations and answers about one episode.

    Attributes:
        num_true: Responses that tell what happened, and answers that are right.
        num_false: The others.
    """

    def __init__(self, seed: int, split: str) -> None:
        """Know the episode of a `rendered:SEED` source."""
        self.num_true = 0
        self.num_false = 0
        self._episode = Episode(seed, split)
        self._num_happened = 0
        self._counted_until_s = 0.0

    def is_true_narration(self, time_s: float, text: str) -> bool:
        """Judge and count a proactive response at a time of the episode."""
        narrations = self._episode.narrations(max(time_s - LATE_S, 0.0), time_s + EARLY_S)
        return self._count(any(narration.text == text for narration in narrations))

    def is_true_answer(self, time_s: float, question: str, text: str) -> bool | None:
        """Judge and count an answer; None where the world has no answer to the question."""
        answers = [
            known.answer for known in self._episode.questions(time_s) if known.text == question
        ]
        return self._count(text in answers) if answers else None

    def line(self, time_s: float) -> str:
        """Return the score for the screen."""
        if time_s > self._counted_until_s:
            self._num_happened += len(self._episode.narrations(self._counted_until_s, time_s))
            self._counted_until_s = time_s
        return (
            f'  score against the world as drawn: {self.num_true} true, {self.num_false} false; '
            f'{self._num_happened} things happened'
        )

    def _count(self, is_true: bool) -> bool:
        if is_true:
            self.num_true += 1
        else:
            self.num_false += 1
        return is_true
