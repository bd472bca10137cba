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
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlo_ros.errors import one_line
from vlo_ros.kv_cache import KVCache

logger = logging.getLogger(__name__)

# One token, a frame of either variant, then a few frames and chunks of 8, 16 and 32 frames of 11
# tokens, each with room for the words that open a run of frames after a response.
TOKEN_COUNTS = (1, 2, 4, 8, 11, 16, 24, 36, 48, 72, 96, 144, 192, 288, 384)
ROW_COUNTS = (1, 4, 8, 16, 32)
CONTEXTS = (1024, 2048, 4096, 6144, 8192)
# Captured as soon as a stream is made: chunks of 32, 16 and 8 frames, the first frame after a
# response, a frame, the prompt of a response, a token.
WARM_SHAPES = ((384, 32), (192, 16), (96, 8), (16, 1), (11, 1), (4, 1), (2, 1), (1, 1))
# Up to here attention is bound by reading the cache: plain products use more of the GPU than
# fused kernels, which give a whole head to one multiprocessor.
PRODUCT_TOKENS = 32
# The fused kernels to record. Not cuDNN's, PyTorch's first choice on an H100 and later: with few
# key/value heads some of its versions give wrong results (pytorch issue 193893).
BACKENDS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
WARM_UPS = 2
NUM_CUDA_STREAMS = 32  # PyTorch hands out this many of each priority, in turn


class CaptureLane:
    """Where the graphs of one cache are recorded: a CUDA stream and a memory pool of their own.

    PyTorch has one cuBLAS workspace for each stream, and 2.13 frees it with the first graph to go
    of those recorded there: graphs that outlive others must not share it. Nor can a pool be used
    again when all of its graphs are gone.

    Attributes:
        stream: To record on. Of high priority: so are then the kernels of the graphs, and no
            encoder has it, whose streams are of ordinary priority.
        pool: Memory of the graphs.
    """

    def __init__(self, device: torch.device):
        """Take a stream that no other lane has, as long as there is one."""
        taken = {lane.stream.cuda_stream for lane in _lanes}
        self.stream: torch.cuda.Stream
        for _ in range(NUM_CUDA_STREAMS):
            self.stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
            if self.stream.cuda_stream not in taken:
                break
        self.pool = torch.cuda.graph_pool_handle()
        _lanes.add(self)


_lanes: WeakSet[CaptureLane] = WeakSet()


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
        self._lane: CaptureLane | None = None  # behind the graph, which goes first

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
        mask_TN = torch.zeros_like(hidden_from_TN, dtype=self.embeddings_TD.dtype)
        mask_TN.masked_fill_(hidden_from_TN, -torch.inf)
        # Query heads that share a key/value head are further rows of one product.
        is_fused, num_kv_heads = len(mask_TN) > PRODUCT_TOKENS, self._keys_LGCE.shape[1]
        num_rows = self._model.config.num_attention_heads // num_kv_heads
        self._mask = mask_TN.repeat(num_rows, 1) if is_fused else mask_TN
        hidden_TD = self._model.model(
            inputs_embeds=self.embeddings_TD[None],
            position_ids=self._positions_T[None],
            use_cache=False,
            segments=self,
        ).last_hidden_state[0]
        head = self._model.get_output_embeddings()
        self.logits_RK: torch.Tensor = head(hidden_TD.index_select(0, self.rows_R))
        del self._positions_T, self._mask  # memory for the next graph: each run makes them anew

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
                attn_mask=self._mask,
                scale=scaling,
            )[0]
            return output_GRE.reshape(num_heads, num_new, head_dim)
        scores_GRN = torch.bmm(query_GRE * scaling, keys_GNE.transpose(1, 2))
        scores_GRTN = scores_GRN.view(num_kv_heads, num_rows, num_new, num_read) + self._mask
        weights_GRTN = scores_GRTN.softmax(dim=-1, dtype=torch.float32).to(query_HTE.dtype)
        output_GRE = torch.bmm(weights_GRTN.view(scores_GRN.shape), values_GNE)
        return output_GRE.view(num_heads, num_new, head_dim)

    def capture(self, lane: CaptureLane) -> None:
        """Record `forward`; from then on `run` replays it."""
        self._lane = lane
        with sdpa_kernel(BACKENDS):
            # Not on the lane: its cuBLAS workspace is to come from the pool, while recording.
            for _ in range(WARM_UPS):
                self.forward()
            self._graph = self._record(lane)

    def _record(self, lane: CaptureLane) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # The outer context is for a recording that fails: PyTorch leaves its stream the current
        # one. Another thread may be encoding meanwhile: its calls must not spoil the recording.
        with (
            torch.cuda.stream(lane.stream),
            torch.cuda.graph(
                graph, pool=lane.pool, stream=lane.stream, capture_error_mode='thread_local'
            ),
        ):
            self.forward()
        return graph

    def run(self) -> torch.Tensor:
        """Logits (R, K) of what is loaded; the next run of any step overwrites them."""
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
        self._steps: WeakKeyDictionary[KVCache, dict[tuple[int, int, int], StaticStep]]
        self._steps = WeakKeyDictionary()
        self._lanes: WeakKeyDictionary[KVCache, CaptureLane] = WeakKeyDictionary()

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
        if self.captures and not self._record(step, shape, cache):
            return None
        self._steps.setdefault(cache, {})[shape] = step
        return step

    def _record(self, step: StaticStep, shape: tuple[int, int, int], cache: KVCache) -> bool:
        try:
            if cache not in self._lanes:
                self._lanes[cache] = CaptureLane(cache.keys_LGCE.device)
            step.capture(self._lanes[cache])
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
