# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Narrations rewritten as what one says to the wearer: `C cuts it.` becomes `You cut it.`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from training.datasets.ego4d_narration_stream import NarrationTrack
from training.synthesis.prompts import RefinePrompt
from training.synthesis.request import Cache, Engine, Request, Tally, ask_all

# What the published data says where the rewriting failed.
OFFICIAL_FALLBACK = 'Not sure what you are doing.'
_BRACKETED = re.compile(r'\[([^\[\]]*)')

RefinedTracks = dict[str, dict[str, list[dict[str, Any]]]]


def refine_requests(
    tracks: Sequence[NarrationTrack], prompt: RefinePrompt, model: str
) -> dict[str, Request]:
    """One request for each different narration."""
    shown: list[tuple[str, str]] = [('system', prompt.system)]
    for narration, answer in prompt.examples:
        shown += [('user', prompt.question.format(text=narration)), ('assistant', answer)]
    texts = dict.fromkeys(line.text for track in tracks for line in track.narrations)
    return {
        text: Request(
            model,
            (*shown, ('user', prompt.question.format(text=text))),
            prompt.sampling.max_tokens,
            prompt.sampling.temperature,
            prompt.sampling.top_p,
            stop=(']',),
        )
        for text in texts
    }


def refine(
    tracks: Sequence[NarrationTrack],
    prompt: RefinePrompt,
    model: str,
    engine: Engine,
    cache: Cache,
    tally: Tally,
    *,
    official: bool = False,
    on_answer: Callable[[], None] | None = None,
) -> RefinedTracks:
    """Rewrite narrations.

    Args:
        tracks: Cleaned narrations.
        prompt: How to ask.
        model: Name of the language model.
        engine: Who answers.
        cache: Where answers are kept.
        tally: Counts 'narrations', 'different_narrations' and 'not_rewritten'.
        official: Where the rewriting failed, say the published sentence; otherwise the narration
            is left out.
        on_answer: For a progress bar.

    Returns:
        What `refined_narration_stream_SPLIT.json` holds: {uid: {annotator: [{time, text}]}}.
    """
    requests = refine_requests(tracks, prompt, model)
    answers = ask_all(list(requests.values()), engine, cache, tally, on_answer)
    rewritten = {
        text: parse_refined(answer.text) for text, answer in zip(requests, answers, strict=True)
    }
    tally.add('different_narrations', len(rewritten))
    tally.add('not_rewritten', sum(text is None for text in rewritten.values()))
    refined: RefinedTracks = {}
    for track in tracks:
        lines = []
        for narration in track.narrations:
            text = rewritten[narration.text]
            if text is None and official:
                text = OFFICIAL_FALLBACK
            if text is not None:
                lines.append({'time': narration.time, 'text': text})
        tally.add('narrations', len(track.narrations))
        refined.setdefault(track.uid, {})[track.annotator] = lines
    return refined


def parse_refined(answer: str | None) -> str | None:
    """The sentence in brackets; None where there is none."""
    found = _BRACKETED.search(answer or '')
    text = ' '.join(found.group(1).split()) if found else ''
    return text or None
