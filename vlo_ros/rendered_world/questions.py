# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions with one true answer at a moment, in a few fixed wordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlo_ros.rendered_world import vocabulary as words

if TYPE_CHECKING:
    from vlo_ros.rendered_world.episode import Episode

HOLDING = 'What am I holding in my {side} hand?'
LAST = 'What did I do last?'
COLOUR = 'Which colour is the {kind}?'
PLACE = 'Where am I?'


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its true answer at a time.

    kind: 'holding', 'last', 'colour' or 'place'.
    """

    time: float  # seconds from the start of the episode
    kind: str
    text: str
    answer: str


def questions_at(episode: Episode, time: float) -> list[Question]:
    """Every question that has exactly one true answer at a time (seconds); none while walking."""
    state = episode.state_at(time)
    if state.action == 'walk':
        return []
    found = []
    for side, held in zip(words.SIDES, state.held, strict=True):
        what = f'Your {side} hand holds {held}.' if held else f'Your {side} hand is empty.'
        found.append(Question(time, 'holding', HOLDING.format(side=side), what))
    if state.last_event is not None:
        past = words.sentence(state.last_event.verb, state.last_event.objects, 'past')
        found.append(Question(time, 'last', LAST, past))
    for kind, colours in sorted(state.visible_colours.items()):
        if len(colours) == 1:
            answer = f'The {kind} is {colours[0]}.'
            found.append(Question(time, 'colour', COLOUR.format(kind=kind), answer))
    found.append(Question(time, 'place', PLACE, f'You are at the {state.station}.'))
    return found
