# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forwards of fixed shape, captured once as CUDA graphs and replayed.

Launching the kernels of an 8B model from Python takes several times as long as running them on a
frame. A captured forward is one launch: its inputs are static buffers, and where in the cache it
stands is read from the device. Tokens are padded at the end up to one of a few counts, which no
real row can see, and attention reads the cache up to one of a few lengths.

Without capture (on the CPU, in tests) the same forwards run as ordinary code.
"""

# Shapes: H query heads, G key/value heads, T tokens, N cache positions read, E head dim,
# D hidden dim, R read rows, K vocabulary.
from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional

from vlo_ros.errors import one_line
from vlo_ros.kv_cache import KVCache

logger = logging.getLogger(__name__)

# One token, a frame of either variant, a few frames, chunks of 8, 16 and 32 frames of 11 tokens.
TOKEN_COUNTS = (1, 2, 4, 8, 11, 16, 22, 33, 44, 66, 88, 132, 176, 264, 352)
ROW_COUNTS = (1, 4, 8, 16, 32)
CONTEXTS = (1024, 2048, 4096, 6144, 8192)
# Captured as soon as a stream is made: a token, a frame, chunks of 8, 16 and 32 frames.
WARM_SHAPES = ((352, 32), (176, 16), (88, 8), (11, 1), (2, 1), (1, 1))
# Up to here attention is bound by reading the cache: plain products use more of the GPU than
# fused kernels, which give a whole head to one multiprocessor.
PRODUCT_TOKENS = 32
WARM_UPS = 2


class StaticStep:
    """One forward of fixed shape over one stream's cache.

    Attributes:
        embeddings_TD: What is fed, padded at the end.
        start_1: Positions in use before it.
        rows_R: Rows whose logits are wanted.
        logits_RK: What came out.
    """

    def __init__(self, model: Any, cache: KVCache, num_tokens: int, num_rows: int, context: int):
        """Allocate the inputs of a forward of `num_tokens` that reads `context` positions."""
        keys_LGCE = cache.keys_LGCE
        device, dtype = keys_LGCE.device, keys_LGCE.dtype
        hidden = model.config.hidden_size
        self.embeddings_TD = torch.zeros(num_tokens, hidden, dtype=dtype, device=device)
        self.start_1 = torch.zeros(1, dtype=torch.long, device=device)
        self.rows_R = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._model = model
        # Not the cache itself: it must be free to go when its stream does.
        self._keys_LGCE, self._values_LGCE = keys_LGCE, cache.values_LGCE
        self._offsets_T = torch.arange(num_tokens, device=device)
        self._context_N = torch.arange(context, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def load(self, embeddings_TD: torch.Tensor, rows: Sequence[int], start: int) -> None:
        """Set the inputs; what they are padded with reaches no row that is read."""
        self.embeddings_TD[: len(embeddings_TD)] = embeddings_TD
        self.start_1.fill_(start)
        padded = [*rows, *[rows[0]] * (len(self.rows_R) - len(rows))]
        self.rows_R.copy_(torch.tensor(padded), non_blocking=True)

    def forward(self) -> None:
        """Run on what is loaded."""
        self._positions_T = self.start_1 + self._offsets_T
        hidden_from_TN = self._context_N[None] > self._positions_T[:, None]
        self._mask_TN = torch.zeros_like(
            hidden_from_TN, dtype=self.embeddings_TD.dtype
        ).masked_fill_(hidden_from_TN, -torch.inf)
        hidden_TD = self._model.model(
            inputs_embeds=self.embeddings_TD[None],
            position_ids=self._positions_T[None],
            use_cache=False,
            segments=self,
        ).last_hidden_state[0]
        head = self._model.get_output_embeddings()
        self.logits_RK: torch.Tensor = head(hidden_TD.index_select(0, self.rows_R))

    def attend(
        self, layer: int, query_HTE: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:  # fmt: skip
        """Write keys and values (G, T, E) at the positions and attend: (H, T, E)."""
        keys_GCE, values_GCE = self._keys_LGCE[layer], self._values_LGCE[layer]
        keys_GCE.index_copy_(1, self._positions_T, key)
        values_GCE.index_copy_(1, self._positions_T, value)
        num_heads, num_new, head_dim = query_HTE.shape
        num_kv_heads, num_read = keys_GCE.shape[0], len(self._context_N)
        keys_GNE, values_GNE = keys_GCE[:, :num_read], values_GCE[:, :num_read]
        num_rows = num_heads // num_kv_heads
        query_GRE = query_HTE.reshape(num_kv_heads, num_rows * num_new, head_dim)
        if num_new > PRODUCT_TOKENS:
            output_GRE = functional.scaled_dot_product_attention(
                query_GRE[None],
                keys_GNE[None],
                values_GNE[None],
                attn_mask=self._mask_TN.repeat(num_rows, 1),
                scale=scaling,
            )[0]
            return output_GRE.reshape(num_heads, num_new, head_dim)
        scores_GRN = torch.bmm(query_GRE * scaling, keys_GNE.transpose(1, 2))
        scores_GRTN = scores_GRN.view(num_kv_heads, num_rows, num_new, num_read) + self._mask_TN
        weights_GRTN = scores_GRTN.softmax(dim=-1, dtype=torch.float32).to(query_HTE.dtype)
        output_GRE = torch.bmm(weights_GRTN.view(scores_GRN.shape), values_GNE)
        return output_GRE.view(num_heads, num_new, head_dim)

    def capture(self, pool: Any) -> None:
        """Record `forward`; from then on `run` replays it."""
        side = torch.cuda.Stream(self.embeddings_TD.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.forward()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Another thread may be encoding meanwhile: its calls must not spoil the recording.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode='thread_local'):
            self.forward()
        self._graph = graph

    def run(self) -> torch.Tensor:
        """Logits (R, K) of what is loaded; the next run overwrites them."""
        if self._graph is None:
            self.forward()
        else:
            self._graph.replay()
        return self.logits_RK


class StaticForward:
    """The static steps of one language model.

    Attributes:
        captures: Whether they are recorded as CUDA graphs.
        num_captured: Graphs recorded so far.
    """

    def __init__(self, model: Any, *, capture: bool) -> None:
        """Serve `model`; `capture` records CUDA graphs."""
        self._model = model
        self.captures = capture
        self.num_captured = 0
        self._pool = torch.cuda.graph_pool_handle() if capture else None
        self._steps: WeakKeyDictionary[KVCache, dict[tuple[int, int, int], StaticStep]]
        self._steps = WeakKeyDictionary()

    def forward(
        self, embeddings_TD: torch.Tensor, cache: KVCache, rows: Sequence[int]
    ) -> torch.Tensor | None:
        """Logits (R, K) at `rows`, keys and values written, not committed.

        None where no static shape fits; nothing has happened then.
        """
        shape = self._shape_of(len(embeddings_TD), len(rows), cache)
        if shape is None:
            return None
        step = self._steps.setdefault(cache, {}).get(shape) or self._make(cache, shape)
        if step is None:
            return None
        step.load(embeddings_TD, rows, cache.length)
        return step.run()[: len(rows)]

    def warm_up(self, cache: KVCache) -> None:
        """Make the steps of an empty cache that a live stream needs, at every context."""
        contexts = {min(context, cache.capacity) for context in (*CONTEXTS, cache.capacity)}
        for tokens, rows in WARM_SHAPES:
            for context in sorted(contexts, reverse=True):
                if tokens <= context and self._model is not None:
                    self._make(cache, (tokens, rows, context))

    def _make(self, cache: KVCache, shape: tuple[int, int, int]) -> StaticStep | None:
        step = StaticStep(self._model, cache, *shape)
        step.start_1.fill_(cache.length)
        if self.captures and not self._record(step, shape):
            return None
        self._steps.setdefault(cache, {})[shape] = step
        return step

    def _record(self, step: StaticStep, shape: tuple[int, int, int]) -> bool:
        try:
            step.capture(self._pool)
        except RuntimeError as error:
            logger.warning(
                'CUDA graph of %s not captured, running without: %s', shape, one_line(error)
            )
            self._model = None
            return False
        self.num_captured += 1
        return True

    def _shape_of(
        self, num_tokens: int, num_rows: int, cache: KVCache
    ) -> tuple[int, int, int] | None:
        if self._model is None or not num_rows:
            return None
        tokens, rows = _least(TOKEN_COUNTS, num_tokens), _least(ROW_COUNTS, num_rows)
        if not tokens or not rows or cache.length + tokens > cache.capacity:
            return None
        context = _least(CONTEXTS, cache.length + tokens)
        return tokens, rows, min(context or cache.capacity, cache.capacity)


def _least(counts: Sequence[int], wanted: int) -> int:
    """Smallest of ascending `counts` that holds `wanted`, or 0."""
    return next((count for count in counts if count >= wanted), 0)
