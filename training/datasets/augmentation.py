# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One wrong or missing response in a conversation, so that the model looks at the frames.

VideoLLM-online (CVPR 2024): a model that trains on its own kind of past text learns to continue
that text; a response that the frames contradict breaks the habit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

CORRECTION_PREFIX = '(Sorry, the last response is wrong) '


def augment(
    conversation: Sequence[dict[str, Any]], rng: random.Random, *, official: bool = False
) -> list[dict[str, Any]]:
    """Return the conversation with one random learned response replaced or removed.

    Args:
        conversation: messages in order; never changed.
        rng: source of three draws: which response, by what text, corrected later or not.
        official: keep the official bugs.
    """
    positions = _candidates(conversation)
    if not positions:
        return list(conversation)
    position = rng.choice(positions)
    fake = rng.choice(_fakes(conversation, position))
    fix = bool(rng.getrandbits(1))
    return _replace(conversation, position, fake, fix, official)


def outcomes(
    conversation: Sequence[dict[str, Any]], *, official: bool = False
) -> Iterator[tuple[list[dict[str, Any]], float]]:
    """Yield every conversation that `augment` can return, with its probability.

    Equal conversations are yielded once for each way that leads to them.
    """
    positions = _candidates(conversation)
    if not positions:
        yield list(conversation), 1.0
    for position in positions:
        fakes = _fakes(conversation, position)
        for fake in fakes:
            for fix in (False, True):
                share = 0.5 / len(positions) / len(fakes)
                yield _replace(conversation, position, fake, fix, official), share


def _candidates(conversation: Sequence[dict[str, Any]]) -> list[int]:
    """Return where the learned responses are, less the last: nothing depends on that one."""
    learned = [
        position
        for position, message in enumerate(conversation)
        if message['role'] == 'assistant' and message.get('learn')
    ]
    return learned[:-1]


def _fakes(conversation: Sequence[dict[str, Any]], position: int) -> list[str | None]:
    """Return the texts that may stand at `position`; None: no response at all."""
    real = conversation[position]['content']
    others = dict.fromkeys(  # in order of appearance: officially a set, ordered by the hash seed
        message['content']
        for message in conversation
        if message['role'] == 'assistant' and message.get('learn') and message['content'] != real
    )
    return [*others, '', None]


def _replace(
    conversation: Sequence[dict[str, Any]],
    position: int,
    fake: str | None,
    fix: bool,
    official: bool,
) -> list[dict[str, Any]]:
    """Return the conversation with the response at `position` faked (None: left out)."""
    before, after = list(conversation[:position]), list(conversation[position + 1 :])
    real = conversation[position]
    previous = before[-1] if before and before[-1]['role'] == 'stream' else None
    following = after.pop(0) if after[0]['role'] == 'stream' else None
    unlearned = [_run(following['num_frames'], False)] if following else []
    rest = _rest(following, official) if following and following['num_frames'] > 1 else None
    if fake is not None:
        wrong = {'role': 'assistant', 'content': fake, 'learn': False}
        if not fix:
            return [*before, wrong, *unlearned, *after]
        if rest is None:
            return list(conversation)
        sorry = _learned(CORRECTION_PREFIX + real['content'])
        return [*before, wrong, _run(1, True), sorry, rest, *after]
    if fix:
        if previous is None or rest is None:
            return list(conversation)
        late = _run(previous['num_frames'] + 1, previous['num_frames'] - 1)
        return [*before[:-1], late, _learned(real['content']), rest, *after]
    if previous is None:
        return [*before, *unlearned, *after]
    num_frames = previous['num_frames'] + (following['num_frames'] if following else 0)
    return [*before[:-1], _run(num_frames, previous['num_frames'] - 1), *after]


def _run(num_frames: int, learn: bool | int) -> dict[str, Any]:
    return {'role': 'stream', 'num_frames': num_frames, 'learn': learn}


def _learned(text: str) -> dict[str, Any]:
    return {'role': 'assistant', 'content': text, 'learn': True}


def _rest(following: dict[str, Any], official: bool) -> dict[str, Any]:
    """Return a stream less its first frame, which the changed response took."""
    learn = following.get('learn', False)
    # Corrected: a stream of which only the first k frames are learned (a user turn ends it) keeps
    # that; officially the rest of it is learned whole, and the model to hand over to the user.
    if official or learn is True:
        return _run(following['num_frames'] - 1, True)
    return _run(following['num_frames'] - 1, max(int(learn) - 1, 0))
