# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversations and frame features -> batches."""

# Shapes: B conversations, T positions, N frames, F tokens per frame, V vision dim.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vlo_ros.page import IGNORE, Rendered


@dataclass(frozen=True)
class Example:
    """One conversation with its frames.

    Attributes:
        rendered: Ids and labels, T entries.
        features: Vision features of its frames, (N, F, V).
        position_ids: Position of each id; None counts from 0.
        loss_weights: Weight of each position; None is 1 everywhere.
    """

    rendered: Rendered
    features: torch.Tensor
    position_ids: Sequence[int] | None = None
    loss_weights: Sequence[float] | None = None

    @property
    def num_tokens(self) -> int:
        """T."""
        return len(self.rendered.input_ids)


def collate(
    examples: Sequence[Example], pad_id: int, padding: str = 'left'
) -> dict[str, torch.Tensor]:
    """Pad conversations to one length.

    Args:
        examples: B conversations.
        pad_id: Id at padding.
        padding: 'left' as published, with an attention mask; 'right' needs no mask, since a
            causal model never looks at what comes later, and gives the same loss.

    Raises:
        ValueError: Another word than 'left' or 'right'.
    """
    if padding not in ('left', 'right'):
        raise ValueError(f"padding: {padding!r} is not one of 'left', 'right'")
    length = max(example.num_tokens for example in examples)
    left = padding == 'left'

    def pad(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
        padded_BT = torch.full((len(rows), length), filler)
        for index, row in enumerate(rows):
            where = slice(length - len(row), length) if left else slice(0, len(row))
            padded_BT[index, where] = torch.tensor(row)
        return padded_BT

    rendered = [example.rendered for example in examples]
    batch = {
        'input_ids': pad([one.input_ids for one in rendered], pad_id),
        'labels': pad([one.labels for one in rendered], IGNORE),
        'features': torch.cat([example.features for example in examples]),
    }
    if left:
        batch['attention_mask'] = pad([[1] * len(one.input_ids) for one in rendered], 0)
    if any(example.position_ids is not None for example in examples):
        positions = [
            list(range(example.num_tokens))
            if example.position_ids is None
            else example.position_ids
            for example in examples
        ]
        # Padding behind counts on, so that nothing mistakes it for a packed conversation.
        batch['position_ids'] = pad(positions, 0)
        if not left:
            for row, one in zip(batch['position_ids'], positions, strict=True):
                row[len(one) :] = torch.arange(one[-1] + 1, one[-1] + 1 + length - len(one))
    _add_loss_weights(batch, examples, left)
    return batch


def pack(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Lay conversations end to end in one row; none sees another.

    Positions restart at 0 with each conversation, which is how transformers' attention (eager,
    sdpa, flash) finds the boundaries when there is no attention mask. A conversation whose own
    positions have gaps cannot be packed.
    """
    if any(example.position_ids is not None for example in examples):
        raise ValueError('packing: a conversation with positions of its own cannot be packed')
    rendered = [example.rendered for example in examples]
    batch = {
        'input_ids': torch.tensor([[i for one in rendered for i in one.input_ids]]),
        'labels': torch.tensor([[i for one in rendered for i in one.labels]]),
        'position_ids': torch.tensor([[i for one in rendered for i in range(len(one.input_ids))]]),
        'features': torch.cat([example.features for example in examples]),
    }
    if any(example.loss_weights is not None for example in examples):
        batch['loss_weights'] = torch.tensor(
            [[weight for example in examples for weight in _weights(example)]]
        )
    return batch


def _weights(example: Example) -> Sequence[float]:
    return example.loss_weights or [1.0] * example.num_tokens


def _add_loss_weights(
    batch: dict[str, torch.Tensor], examples: Sequence[Example], left: bool
) -> None:
    if all(example.loss_weights is None for example in examples):
        return
    weights_BT = torch.zeros(batch['input_ids'].shape)
    for row, example in zip(weights_BT, examples, strict=True):
        size = example.num_tokens
        where = slice(len(row) - size, len(row)) if left else slice(0, size)
        row[where] = torch.tensor(_weights(example))
    batch['loss_weights'] = weights_BT
