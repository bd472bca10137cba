# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame features -> frame tokens: the two-layer MLP between vision tower and language model."""

from __future__ import annotations

from torch import nn


def make_connector(vision_dim: int, hidden_dim: int) -> nn.Sequential:
    """Build the connector, untrained: (..., V) -> (..., D).

    The layout (Linear, exact GELU, Linear, all with bias) and the names '0' and '2' of its
    weights are those of the published checkpoint.
    """
    return nn.Sequential(
        nn.Linear(vision_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim)
    )
