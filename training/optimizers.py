# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Muon for the matrices of the layers, AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# Coefficients of the quintic iteration that drives singular values to about 1
# (Keller Jordan et al. 2024, "Muon").
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class MuonAdamW(torch.optim.AdamW):
    """One optimizer with groups of both kinds, so that schedules and checkpoints see one.

    Muon updates are scaled to AdamW's usual size, so both kinds share learning rate habits.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        muon_lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.98),
        momentum: float = 0.95,
    ) -> None:
        """Share out the trainable parameters of `model`."""
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim == 2 and '.layers.' in name
                (matrices if is_matrix else others).append(parameter)
        groups = [
            {'params': others, 'lr': lr, 'momentum': None},
            {'params': matrices, 'lr': muon_lr, 'momentum': momentum},
        ]
        super().__init__(groups, lr=lr, betas=betas, weight_decay=weight_decay)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter once."""
        loss = closure() if closure else None
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if group['momentum'] is None]
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group['momentum'] is not None:
                self._muon_step(group)
        return loss

    @torch.no_grad()
    def _muon_step(self, group: dict[str, Any]) -> None:
        for parameter in group['params']:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state['step'] = torch.zeros(())
                state['momentum_buffer'] = torch.zeros_like(parameter)
            state['step'] += 1
            buffer = state['momentum_buffer']
            buffer.lerp_(parameter.grad, 1 - group['momentum'])
            update = orthogonalise(parameter.grad.lerp(buffer, group['momentum']))
            scale = 0.2 * max(parameter.shape) ** 0.5  # root mean square of AdamW's updates
            parameter.mul_(1 - group['lr'] * group['weight_decay'])
            parameter.add_(update, alpha=-group['lr'] * scale)


def orthogonalise(matrix_RC: torch.Tensor, num_steps: int = 5) -> torch.Tensor:
    """The nearest matrix whose rows (or columns) are orthonormal, roughly: (R, C) -> (R, C)."""
    a, b, c = _NEWTON_SCHULZ
    x = (matrix_RC / (matrix_RC.norm() + 1e-7)).bfloat16()
    transposed = x.shape[0] > x.shape[1]
    x = x.T if transposed else x
    for _ in range(num_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if transposed else x).to(matrix_RC.dtype)
