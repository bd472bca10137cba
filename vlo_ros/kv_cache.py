# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keys and values of one stream: allocated once, appended, truncated, evicted, reset.

A step of the cache is write (once per layer) then commit, so a forward that fails half-way
leaves the stream as it was.
"""

# Shapes: L layers, G key/value heads, T new positions, C capacity, E head dim.
from __future__ import annotations

import torch

from vlo_ros.errors import CacheFullError


class KVCache:
    """Preallocated keys and values of all layers.

    Attributes:
        keys_LGCE: Keys, already rotated to their positions 0..length-1.
        values_LGCE: Values.
        length: Positions in use.
        num_evicted: Positions evicted since the last reset.
    """

    def __init__(
        self,
        num_layers: int,
        num_heads: int,
        capacity: int,
        head_dim: int,
        inverse_frequencies: torch.Tensor,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Allocate `capacity` positions.

        Args:
            num_layers: L.
            num_heads: G, key/value heads (not query heads).
            capacity: C, positions.
            head_dim: E.
            inverse_frequencies: (E/2,) rotary frequencies, radians per position.
            dtype: Of keys and values.
            device: Of keys and values.
        """
        shape = (num_layers, num_heads, capacity, head_dim)
        self.keys_LGCE = torch.zeros(shape, dtype=dtype, device=device)
        self.values_LGCE = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0
        self.num_evicted = 0
        self._inverse_frequencies = inverse_frequencies.float().to(device)

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes; it never changes."""
        return 2 * self.keys_LGCE.numel() * self.keys_LGCE.element_size()

    def check_room(self, num_new: int) -> None:
        """Raise CacheFullError unless `num_new` more positions fit."""
        if self.length + num_new > self.capacity:
            raise CacheFullError(
                f'KV cache: {num_new} new positions do not fit, {self.length} of '
                f'{self.capacity} are in use'
            )

    def write(self, layer: int, keys_GTE: torch.Tensor, values_GTE: torch.Tensor) -> int:
        """Put new keys and values behind the committed ones; return the positions there now."""
        end = self.length + keys_GTE.shape[1]
        self.keys_LGCE[layer, :, self.length : end] = keys_GTE
        self.values_LGCE[layer, :, self.length : end] = values_GTE
        return end

    def commit(self, num_new: int) -> None:
        """Count `num_new` written positions as part of the stream."""
        self.length += num_new

    def truncate(self, length: int) -> None:
        """Forget every position from `length` on."""
        assert 0 <= length <= self.length
        self.length = length

    def evict(self, start: int, end: int) -> None:
        """Forget positions [start, end) and re-anchor what follows.

        Later keys move down by end - start positions: rotary embeddings turn a key by an angle
        proportional to its position, so turning it back by the distance gives the key it would
        have had there, and scores among the moved positions stay what they were.
        """
        assert 0 <= start <= end <= self.length
        distance, num_moved = end - start, self.length - end
        if distance == 0:
            return
        angles = distance * self._inverse_frequencies
        cos_E = torch.cat((angles.cos(), angles.cos()))
        sin_E = torch.cat((angles.sin(), angles.sin()))
        source = slice(end, end + num_moved)
        target = slice(start, start + num_moved)
        for keys_GCE, values_GCE in zip(self.keys_LGCE, self.values_LGCE, strict=True):
            keys = keys_GCE[:, source].float()
            first, second = keys.chunk(2, dim=-1)
            turned_back = keys * cos_E - torch.cat((-second, first), dim=-1) * sin_E
            keys_GCE[:, target] = turned_back.to(keys_GCE.dtype)
            values_GCE[:, target] = values_GCE[:, source].clone()
        self.length -= distance
        self.num_evicted += distance

    def reset(self) -> None:
        """Forget everything; memory stays allocated."""
        self.length = 0
        self.num_evicted = 0
