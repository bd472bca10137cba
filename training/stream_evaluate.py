# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teacher-forced metrics of a conversation, as published: LM-PPL, TimeDiff, Fluency, correctness.

The model reads the true conversation; at every learned position it is asked what it would do. A
turn is everything up to the end of a response: frames during which it should be silent, the frame
at which it should speak, and what it should say. Where it stays silent past that frame, it is
shown frames of the next turn until it speaks.

VideoLLM-online (CVPR 2024), official implementation (models/modeling_live.py:stream_evaluate).
"""

# Shapes: T positions, N frames, F tokens per frame, D hidden dim, L learned positions,
# K vocabulary.
from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import torch
from torch.nn import functional

from training.model import weighted_loss
from vlo_ros.attention import Segment
from vlo_ros.decision import decide
from vlo_ros.kv_cache import KVCache
from vlo_ros.language_model import LanguageModel
from vlo_ros.page import IGNORE, Rendered
from vlo_ros.template import Template


@dataclass(frozen=True)
class StreamScore:
    """Means over the turns of one conversation.

    Attributes:
        lm_ppl: Perplexity of what is said.
        frame_diff: Frames between the moment it spoke and the moment it should have.
        fluency: Share of a turn's decisions and words that come before the first mistake.
        lm_correctness: Share of a response's tokens before the first wrong one.
        num_forwards: 1, and one for each turn at which it was late.
    """

    lm_ppl: float
    frame_diff: float
    fluency: float
    lm_correctness: float
    num_forwards: int = 1

    def metrics(self, fps: float) -> dict[str, float]:
        """The four metrics under their published names; time_diff in seconds."""
        return {
            'lm_ppl': self.lm_ppl,
            'time_diff': self.frame_diff / fps,
            'fluency': self.fluency,
            'lm_correctness': self.lm_correctness,
        }


@dataclass(frozen=True)
class _Turn:
    """One turn: where its learned positions are, and its frames.

    Attributes:
        stream_rows: Rows of the logits at learned frame tokens.
        text_rows: Rows of the logits at other learned positions.
        last_stream_position: The last learned frame token, or -1.
        num_frames: Frames of this turn.
        first_frame: Its first frame, as counted for looking ahead.
    """

    stream_rows: list[int]
    text_rows: list[int]
    last_stream_position: int
    num_frames: int
    first_frame: int


@dataclass
class _Collected:
    """Values of one threshold, turn by turn."""

    lm_ppl: list[float] = field(default_factory=list)
    frame_diff: list[float] = field(default_factory=list)
    fluency: list[float] = field(default_factory=list)
    lm_correctness: list[float] = field(default_factory=list)
    num_forwards: int = 1

    def mean(self) -> StreamScore:
        return StreamScore(
            fmean(self.lm_ppl) if self.lm_ppl else 1.0,
            fmean(self.frame_diff) if self.frame_diff else 0.0,
            fmean(self.fluency) if self.fluency else 1.0,
            fmean(self.lm_correctness) if self.lm_correctness else 1.0,
            self.num_forwards,
        )


def stream_evaluate(
    language: LanguageModel,
    template: Template,
    rendered: Rendered,
    tokens_NFD: torch.Tensor,
    thresholds: Sequence[float] = (0.0,),
    *,
    official: bool = False,
) -> tuple[float, dict[float, StreamScore]]:
    """Score one conversation.

    Args:
        language: The language model.
        template: Its conversation format.
        rendered: The conversation.
        tokens_NFD: Its frames, behind the connector.
        thresholds: Silence thresholds; the published evaluation uses 0.
        official: Leave the frames of turns without labels uncounted when frames of a next turn
            are looked up, as the published code does, so that wrong frames are shown.

    Returns:
        The loss, and the score at each threshold.
    """
    learned = [place for place, label in enumerate(rendered.labels) if label != IGNORE]
    if not learned:
        return 0.0, {threshold: _Collected().mean() for threshold in thresholds}
    ids = torch.tensor(rendered.input_ids, device=language.device)
    turns = split_turns(rendered, template, learned, official)
    per_frame = len(template.interval_ids) + template.frame_num_tokens
    # Looking ahead from a turn's last frame may go past the end, but only just.
    ends = [
        turn.last_stream_position + 1 + per_frame * min(following.num_frames, turn.num_frames)
        for turn, following in itertools.pairwise(turns)
    ]
    cache = language.new_cache(max(len(ids), *ends, 0))
    embeddings_TD = embed_text(language, rendered.input_ids)
    embeddings_TD[ids == template.placeholder_id] = tokens_NFD.flatten(0, 1).to(language.dtype)
    (logits_LK,) = language.forward([Segment(embeddings_TD, cache, tuple(learned))])
    labels_L = torch.tensor([rendered.labels[place] for place in learned], device=logits_LK.device)
    at_frame_L = (ids == template.placeholder_id)[torch.tensor(learned, device=ids.device)]
    loss_L = functional.cross_entropy(logits_LK.float(), labels_L, reduction='none')
    collected = {threshold: _Collected() for threshold in thresholds}
    # From the last turn to the first: looking ahead cuts the cache, and never needs what follows.
    for number in range(len(turns) - 1, -1, -1):
        turn = turns[number]
        following = turns[number + 1] if number + 1 < len(turns) else None
        ahead: torch.Tensor | None = None
        num_ahead = min(following.num_frames, turn.num_frames - 1) if following else 0
        for threshold, values in collected.items():
            num_correct = _score_text(turn, logits_LK, labels_L, loss_L, values)
            if not turn.stream_rows:
                continue
            difference = _early(turn, logits_LK, template.silence_id, threshold)
            if difference is None:
                difference = 0
                if num_ahead > 0:
                    values.num_forwards += 1
                    if ahead is None:
                        ahead = _look_ahead(language, template, cache, turn, tokens_NFD, num_ahead)
                    difference = _late(ahead, template.silence_id, threshold)
            values.frame_diff.append(abs(difference))
            if turn.text_rows:
                values.fluency.append(_fluency(turn, difference, num_correct))
    loss = weighted_loss(loss_L, at_frame_L, 1.0)
    return float(loss), {threshold: values.mean() for threshold, values in collected.items()}


def embed_text(language: LanguageModel, ids: Sequence[int]) -> torch.Tensor:
    """Embeddings of a conversation; those of frame tokens are to be overwritten: (T, D)."""
    last = language.model.get_input_embeddings().weight.shape[0] - 1
    return language.embed([min(token_id, last) for token_id in ids])


def mean_score(scores: Iterable[StreamScore], fps: float) -> Mapping[str, float]:
    """Metrics of a data set: means over its conversations."""
    rows = [score.metrics(fps) for score in scores]
    return {name: fmean(row[name] for row in rows) for name in rows[0]} if rows else {}


def split_turns(
    rendered: Rendered, template: Template, learned: Sequence[int], official: bool
) -> list[_Turn]:
    """Cut the conversation behind every end of turn; what follows the last one is left out."""
    row_of = {place: row for row, place in enumerate(learned)}
    turns, start, first_frame = [], 0, 0
    ends = [i for i, token_id in enumerate(rendered.input_ids) if token_id == template.eos_id]
    for end in ends:
        places = range(start, end + 1)
        start = end + 1
        rows = [place for place in places if place in row_of]
        stream = [place for place in rows if rendered.is_frame[place]]
        num_frames = sum(rendered.is_frame[place] for place in places) // template.frame_num_tokens
        turns.append(
            _Turn(
                stream_rows=[row_of[place] for place in stream],
                text_rows=[row_of[place] for place in rows if not rendered.is_frame[place]],
                last_stream_position=stream[-1] if stream else -1,
                num_frames=num_frames,
                first_frame=first_frame,
            )
        )
        if rows or not official:
            first_frame += num_frames
    return turns


def _score_text(
    turn: _Turn,
    logits_LK: torch.Tensor,
    labels_L: torch.Tensor,
    loss_L: torch.Tensor,
    values: _Collected,
) -> int:
    """Score what is said; return how many of its first tokens are right."""
    if not turn.text_rows:
        return 0
    right = (logits_LK[turn.text_rows].argmax(dim=-1) == labels_L[turn.text_rows]).tolist()
    num_correct = right.index(False) if False in right else len(right)
    values.lm_ppl.append(math.exp(float(loss_L[turn.text_rows].mean())))
    values.lm_correctness.append(num_correct / len(right))
    return num_correct


def _early(turn: _Turn, logits_LK: torch.Tensor, silence_id: int, threshold: float) -> int | None:
    """Frames before the last learned one at which it speaks; None where it never does."""
    rows = turn.stream_rows
    verdicts = decide(logits_LK[rows], silence_id, [threshold] * len(rows))
    for index, (_, silent) in enumerate(verdicts):
        if not silent:
            return len(rows) - index - 1
    return None


def _late(logits_AK: torch.Tensor, silence_id: int, threshold: float) -> int:
    """Frames after the moment it should have spoken, as a negative number."""
    verdicts = decide(logits_AK, silence_id, [threshold] * len(logits_AK))
    for index, (_, silent) in enumerate(verdicts):
        if not silent:
            return -(index + 1)
    return -len(verdicts)


def _look_ahead(
    language: LanguageModel,
    template: Template,
    cache: KVCache,
    turn: _Turn,
    tokens_NFD: torch.Tensor,
    num_frames: int,
) -> torch.Tensor:
    """Feed frames of the next turn as if it had stayed silent; logits at the end of each."""
    cache.truncate(turn.last_stream_position + 1)
    first = turn.first_frame + turn.num_frames
    parts, rows, length = [], [], 0
    for tokens_FD in tokens_NFD[first : first + num_frames]:
        if template.interval_ids:
            parts.append(language.embed(template.interval_ids))
        parts.append(tokens_FD.to(language.dtype))
        length += len(template.interval_ids) + template.frame_num_tokens
        rows.append(length - 1)
    (logits_AK,) = language.forward([Segment(torch.cat(parts), cache, tuple(rows))])
    return logits_AK


def _fluency(turn: _Turn, difference: int, num_correct: int) -> float:
    num_frames = len(turn.stream_rows)
    total = num_frames + len(turn.text_rows)
    if difference == 0:
        return (num_frames + num_correct) / total
    return (num_frames - difference if difference > 0 else num_frames - 1) / total
