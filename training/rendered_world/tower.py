# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small SigLIP tower, its training heads and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import SiglipVisionConfig, SiglipVisionModel

from training.rendered_world.frame_pool import Batch
from training.rendered_world.labels import CELL_LABELS, GLOBAL_LABELS, IGNORE

# Shapes: N frames, P patches, V vision dim, F frame tokens (CLS, then 3 x 3).
POOLED_WEIGHT, PATCH_WEIGHT = 0.5, 0.5


@dataclass(frozen=True)
class TowerShape:
    """Size of the tower: picture size and patch size in pixels, width, layers, heads."""

    image_size: int = 96
    patch_size: int = 16
    dim: int = 160
    layers: int = 4
    heads: int = 5

    @property
    def grid(self) -> int:
        """Patches per side."""
        return self.image_size // self.patch_size


def make_tower(shape: TowerShape) -> SiglipVisionModel:
    """An untrained tower of a shape."""
    config = SiglipVisionConfig(
        image_size=shape.image_size, patch_size=shape.patch_size, hidden_size=shape.dim,
        intermediate_size=4 * shape.dim, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, attn_implementation='eager',
    )  # fmt: skip
    return SiglipVisionModel(config)


class Heads(nn.Module):
    """Linear readings of the tower, thrown away after training.

    The whole picture is read from CLS, what lies where from the 3 x 3 pooled tokens and from the
    patches: exactly what the language model will be given, plus the patches for dense gradients.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.whole = nn.Linear(dim, sum(GLOBAL_LABELS.values()))
        self.pooled = nn.Linear(dim, sum(CELL_LABELS.values()))
        self.patches = nn.Linear(dim, sum(CELL_LABELS.values()))


class TowerWithHeads(nn.Module):
    """Tower and heads; the forward pass gives the logits of every label."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.shape = shape
        self.tower = make_tower(shape)
        self.heads = Heads(shape.dim)

    def forward(self, pixels_NCSS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the picture (N, K), its pooled tokens (N, 9, K), its patches (N, P, K)."""
        output = self.tower(pixels_NCSS)
        patches_NPV = output.last_hidden_state
        grid_NVSS = patches_NPV.transpose(1, 2).unflatten(2, (self.shape.grid, self.shape.grid))
        pooled_N9V = functional.adaptive_avg_pool2d(grid_NVSS, 3).flatten(2).transpose(1, 2)
        return (
            self.heads.whole(output.pooler_output),
            self.heads.pooled(pooled_N9V),
            self.heads.patches(patches_NPV),
        )


def normalise(pictures: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, S, S, 3) uint8 -> (N, 3, S, S) in -1..1, as every SigLIP tower expects."""
    return ((pictures.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5).to(dtype)


def _losses(logits: Tensor, labels: Tensor, classes: dict[str, int]) -> dict[str, Tensor]:
    losses = {}
    parts = logits.float().split(list(classes.values()), dim=-1)
    for i, (name, part) in enumerate(zip(classes, parts, strict=True)):
        losses[name] = functional.cross_entropy(
            part.flatten(0, -2), labels[..., i].flatten(), ignore_index=IGNORE
        )
    return losses


def loss_of(
    logits: tuple[Tensor, Tensor, Tensor], batch: Batch
) -> tuple[Tensor, dict[str, float]]:
    """Training loss and its parts."""
    whole = _losses(logits[0], torch.from_numpy(batch.whole).long(), GLOBAL_LABELS)
    pooled = _losses(logits[1], torch.from_numpy(batch.pooled).long(), CELL_LABELS)
    patches = _losses(logits[2], torch.from_numpy(batch.patches).long(), CELL_LABELS)
    sums = [torch.stack(list(part.values())).sum() for part in (whole, pooled, patches)]
    total = sums[0] + POOLED_WEIGHT * sums[1] + PATCH_WEIGHT * sums[2]
    return total, dict(
        zip(('whole', 'pooled', 'patches'), torch.stack(sums).tolist(), strict=True)
    )


@torch.inference_mode()
def accuracies(model: TowerWithHeads, batch: Batch, dtype: torch.dtype) -> dict[str, float]:
    """Share of right labels; types, colours and lids counted only where there is something."""
    model.eval()
    found: dict[str, list[Tensor]] = {}
    for i in range(0, len(batch.pictures), 256):
        rows = slice(i, i + 256)
        logits = model(normalise(torch.from_numpy(batch.pictures[rows]), dtype))
        for prefix, part, labels, classes in (
            ('', logits[0], batch.whole[rows], GLOBAL_LABELS),
            ('pooled_', logits[1], batch.pooled[rows], CELL_LABELS),
        ):
            truth_all = torch.from_numpy(labels).long()
            for k, (name, one) in enumerate(
                zip(classes, part.split(list(classes.values()), -1), strict=True)
            ):
                guess, truth = one.argmax(-1), truth_all[..., k]
                found.setdefault(prefix + name, []).append((guess == truth).flatten())
                if classes[name] > 5 or name == 'lid':
                    there = (truth > 0) & (truth != IGNORE)
                    found.setdefault(prefix + name + '|there', []).append((guess == truth)[there])
    model.train()
    return {name: float(torch.cat(parts).float().mean()) for name, parts in found.items()}
