# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What exists in the rendered world and how it is put into words."""

from __future__ import annotations

OBJECT_TYPES = (
    'cup', 'bowl', 'bottle', 'jar', 'box', 'pot',
    'kettle', 'knife', 'spoon', 'sponge', 'apple', 'carrot',
)  # fmt: skip
COLOURS = ('red', 'yellow', 'green', 'blue', 'purple', 'white')
COLOUR_RGB = (
    (205, 30, 32),
    (240, 205, 25),
    (28, 150, 50),
    (30, 80, 215),
    (150, 45, 180),
    (242, 242, 238),
)
STATIONS = ('sink', 'stove', 'table', 'shelf')
ACTIONS = ('none', 'cut', 'stir', 'pour', 'wipe', 'open', 'close', 'walk')
SIDES = ('left', 'right')

LIDDED = ('jar', 'box', 'pot')
POURERS = ('bottle', 'kettle', 'cup')
RECEIVERS = ('bowl', 'pot', 'cup')
STIRRED = ('bowl', 'pot', 'cup')
FOODS = ('apple', 'carrot')

SPLITS = ('train', 'new', 'background', 'pairs')
TRAIN_TEXTURES = ('plain', 'wood', 'tiles', 'stripes', 'weave', 'cloudy')
HELD_OUT_TEXTURES = ('checks', 'dots', 'bricks', 'waves')

# (type, colour) index pairs that only the split 'pairs' has: one per type, two per colour.
HELD_OUT_PAIRS = frozenset(
    (kind, (5 * kind + 1 + kind // 6) % 6) for kind in range(len(OBJECT_TYPES))
)

_VERBS = {  # plain verb: (third person, past)
    'pick up': ('picks up', 'picked up'),
    'put down': ('puts down', 'put down'),
    'cut': ('cuts', 'cut'),
    'stir': ('stirs', 'stirred'),
    'pour': ('pours', 'poured'),
    'wipe': ('wipes', 'wiped'),
    'open': ('opens', 'opened'),
    'close': ('closes', 'closed'),
    'walk to': ('walks to', 'walked to'),
}
VERBS = tuple(_VERBS)


def sentence(verb: str, objects: str, person: str) -> str:
    """One event in words.

    Args:
        verb: One of VERBS.
        objects: What follows the verb, e.g. 'the red cup'.
        person: 'ego4d' ('#C C picks up the red cup'), 'you' ('You pick up the red cup.') or
            'past' ('You picked up the red cup.').
    """
    third, past = _VERBS[verb]
    if person == 'ego4d':
        return f'#C C {third} {objects}'
    if person == 'you':
        return f'You {verb} {objects}.'
    if person == 'past':
        return f'You {past} {objects}.'
    raise ValueError(f"person: got {person!r}, accepted are 'ego4d', 'you', 'past'")
