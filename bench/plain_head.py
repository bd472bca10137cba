# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss as it is taught: every position through the language head, then most of it ignored."""

# Shapes: B conversations, T positions, D hidden dim, K vocabulary.
from __future__ import annotations

import torch
from torch.nn import functional

from training.model import StreamModel
from vlo_ros.page import IGNORE


class PlainHead(StreamModel):
    """What `StreamModel` must equal, and be smaller and faster than."""

    def forward(self, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
        """Loss of a batch; arguments as in StreamModel, but no `loss_weights`."""
        input_ids, labels = batch['input_ids'], batch['labels']
        hidden_BTD = self.hidden(
            input_ids, batch['features'], batch.get('attention_mask'), batch.get('position_ids')
        )
        loss_BT = functional.cross_entropy(
            self.head(hidden_BTD).transpose(1, 2), labels, reduction='none', ignore_index=IGNORE
        )
        weights_BT = torch.where(input_ids == self.placeholder_id, self.stream_loss_weight, 1.0)
        return {'loss': (loss_BT * weights_BT).sum() / (labels != IGNORE).sum().clamp(min=1)}
