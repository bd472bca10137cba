# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trainable model: language model + connector, and the loss on what a conversation teaches.

A position is either a frame's last token, whose label is silence or the end of the stream, or a
token of a response. Only labelled positions go through the language head: about one in ten, so
the largest matrix of all does a tenth of the work and its logits need a tenth of the memory.
"""

# Shapes: B conversations, T positions, N frames of all of them, F tokens per frame, V vision dim,
# D hidden dim, L labelled positions, K vocabulary.
from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from vlo_ros.language import family_of
from vlo_ros.page import IGNORE

LORA_DROPOUT = 0.05  # VideoLLM-online (CVPR 2024), official implementation


class StreamModel(nn.Module):
    """Language model with its connector as `connector`, wrapped by peft or not.

    Attributes:
        language: A `*ForCausalLM`, or the PeftModel around one.
        placeholder_id: Input id at frame tokens; it has no row in the embedding table.
        stream_loss_weight: Weight of the loss at frame tokens.
    """

    # The loss is a mean over each batch, and batches are averaged, as the published training did.
    accepts_loss_kwargs = False

    def __init__(
        self, language: nn.Module, placeholder_id: int, stream_loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.language = language
        self.placeholder_id = placeholder_id
        self.stream_loss_weight = stream_loss_weight

    @property
    def causal(self) -> Any:
        """The `*ForCausalLM`, LoRA layers inside it."""
        language: Any = self.language
        return language.get_base_model() if isinstance(language, PeftModel) else language

    @property
    def config(self) -> Any:
        """Config of the language model."""
        return self.causal.config

    def embed(self, input_ids_BT: torch.Tensor, features_NFV: torch.Tensor) -> torch.Tensor:
        """Text embeddings, with the connector's output at frame tokens: (B, T, D).

        Raises:
            ValueError: The features are not those of the frames in the conversations.
        """
        table = self.causal.get_input_embeddings()
        embeddings_BTD = table(input_ids_BT.clamp(max=table.weight.shape[0] - 1))
        is_frame_BT = input_ids_BT == self.placeholder_id
        num_places = int(is_frame_BT.sum())
        num_tokens = features_NFV.shape[0] * features_NFV.shape[1]
        if num_places != num_tokens:
            raise ValueError(
                f'features: {features_NFV.shape[0]} frames of {features_NFV.shape[1]} tokens are '
                f'given, the conversations hold {num_places} frame tokens'
            )
        connector = self.causal.connector
        dtype = next(connector.parameters()).dtype
        tokens = connector(features_NFV.to(dtype)).flatten(0, 1).to(embeddings_BTD.dtype)
        return embeddings_BTD.masked_scatter(is_frame_BT[..., None], tokens)

    def hidden(
        self,
        input_ids_BT: torch.Tensor,
        features_NFV: torch.Tensor,
        attention_mask_BT: torch.Tensor | None = None,
        position_ids_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Last hidden state: (B, T, D)."""
        output = self.causal.model(
            inputs_embeds=self.embed(input_ids_BT, features_NFV),
            attention_mask=attention_mask_BT,
            position_ids=position_ids_BT,
            use_cache=False,
        )
        state: torch.Tensor = output.last_hidden_state
        return state

    def head(self, hidden_LD: torch.Tensor) -> torch.Tensor:
        """Logits of chosen positions: (L, D) -> (L, K), float32."""
        logits: torch.Tensor = self.causal.get_output_embeddings()(hidden_LD)
        return logits.float()

    def forward(
        self,
        input_ids: torch.Tensor,
        features: torch.Tensor,
        labels: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        loss_weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Loss of a batch.

        Args:
            input_ids: (B, T).
            features: Vision features of all frames in order, (N, F, V).
            labels: Already shifted, IGNORE where nothing is learned, (B, T).
            attention_mask: 0 at padding, (B, T); may be left out when padding comes last.
            position_ids: Restart at 0 where another conversation of a packed row begins, (B, T).
            loss_weights: Weight of each position on top of the stream loss weight, (B, T).

        Returns:
            `loss`, and `stream_loss` and `text_loss`, its unweighted parts, for the log.
        """
        hidden_BTD = self.hidden(input_ids, features, attention_mask, position_ids)
        learned_BT = labels != IGNORE
        logits_LK = self.head(hidden_BTD[learned_BT])
        loss_L = functional.cross_entropy(logits_LK, labels[learned_BT], reduction='none')
        at_frame_L = (input_ids == self.placeholder_id)[learned_BT]
        plain_L = loss_L.detach()
        if loss_weights is not None:
            loss_L = loss_L * loss_weights[learned_BT]
        return {
            'loss': weighted_loss(loss_L, at_frame_L, self.stream_loss_weight),
            'stream_loss': (plain_L * at_frame_L).sum() / at_frame_L.sum().clamp(min=1),
            'text_loss': (plain_L * ~at_frame_L).sum() / (~at_frame_L).sum().clamp(min=1),
        }

    @property
    def is_activation_checkpointing(self) -> bool:
        """Whether activations are recomputed."""
        return bool(self.causal.is_activation_checkpointing)

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Recompute activations of each layer in the backward pass instead of keeping them."""
        self.causal.activation_checkpointing_enable(**options)


def weighted_loss(
    loss_L: torch.Tensor, at_frame_L: torch.Tensor, stream_loss_weight: float
) -> torch.Tensor:
    """Loss of a batch from the cross entropy of its learned positions.

    VideoLLM-online (CVPR 2024), official implementation: the weighted sum is divided by the
    number of positions, not by the sum of their weights.
    """
    weights_L = torch.where(at_frame_L, stream_loss_weight, 1.0)
    return (weights_L * loss_L).sum() / max(1, loss_L.numel())


def add_lora(
    model: PreTrainedModel, rank: int, alpha: float, dropout: float = LORA_DROPOUT
) -> PeftModel:
    """Wrap `model`, which has a `connector`: LoRA on the published targets, the connector whole.

    Everything else is frozen.
    """
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=family_of(model.config.model_type).lora_targets,
        modules_to_save=['connector'],
        task_type='CAUSAL_LM',
    )
    adapted = get_peft_model(model, config)
    assert isinstance(adapted, PeftModel)
    return adapted


def init_connector(connector: nn.Module, initializer_range: float) -> None:
    """Draw connector weights as the language model's family draws its own."""
    for module in connector.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=initializer_range)
            nn.init.zeros_(module.bias)
