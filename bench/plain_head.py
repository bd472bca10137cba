"""The loss as it is taught: every position through the language head, then most of it ignored."""

# Shapes: B conversations, T positions, D hidden dim, K vocabulary.
from __future__ import annotations

import torch
from torch.nn import functional

from training.model import StreamModel
from vlo_ros.template import IGNORE


class PlainHead(StreamModel):
    """What `StreamModel` must equal, and be smaller and faster than."""

    def forward(
        self,
        input_ids: torch.Tensor,
        features: torch.Tensor,
        labels: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        loss_weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Loss of a batch; arguments as in StreamModel.

        Raises:
            ValueError: Positions have weights of their own, which the published loss has not.
        """
        if loss_weights is not None:
            raise ValueError('loss_weights: the published loss has none')
        hidden_BTD = self.hidden(input_ids, features, attention_mask, position_ids)
        loss_BT = functional.cross_entropy(
            self.head(hidden_BTD).transpose(1, 2), labels, reduction='none', ignore_index=IGNORE
        )
        weights_BT = torch.where(input_ids == self.placeholder_id, self.stream_loss_weight, 1.0)
        return {'loss': (loss_BT * weights_BT).sum() / (labels != IGNORE).sum().clamp(min=1)}
