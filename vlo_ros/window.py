# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one stream keeps: its KV cache, where frames begin in it, and what goes when it is full.

The system prompt and the standing instruction are pinned in front. Behind them the oldest frames
and what was said on them are dropped, always up to where another frame begins: what is left reads
like a stream that begins there.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from vlo_ros.kv_cache import KVCache


class Left(enum.Enum):
    """What an eviction leaves behind the pinned positions."""

    FRAMES = 'frames'  # one frame or more, and all that came after the first of them
    NEWEST_FRAME = 'newest frame'  # that frame alone; the words behind it are gone too
    NOTHING = 'nothing'  # there was no frame; what was pinned is gone too


@dataclass(frozen=True)
class _FrameStart:
    """Where a frame's tokens begin in the cache; the stream may be cut there."""

    position: int
    opens_turn: bool


class Window:
    """The memory of one stream.

    Attributes:
        cache: Keys and values.
        num_pinned: Positions in front that are never evicted.
        num_frames: Frames fed since the last reset, those evicted since included.
        num_evictions: Times the oldest turns were dropped since the last reset.
    """

    def __init__(self, cache: KVCache, frame_num_tokens: int, max_new_tokens: int) -> None:
        """Start empty.

        Args:
            cache: Keys and values, in the hands of this window from now on.
            frame_num_tokens: Positions of one frame.
            max_new_tokens: Longest response.
        """
        self.cache = cache
        self._frame_num_tokens = frame_num_tokens
        self.reset(max_new_tokens)

    def reset(self, max_new_tokens: int) -> None:
        """Forget everything; memory stays allocated."""
        self.cache.reset()
        self.num_frames = 0
        self.num_evictions = 0
        self._reserve = self.reserve_for(max_new_tokens)
        self._frame_starts: deque[_FrameStart] = deque()
        self._begin()

    def _begin(self) -> None:
        self.num_pinned = 0
        self._pins_next_frame = True

    def reserve_for(self, max_new_tokens: int) -> int:
        """Room behind the frames, so that a response seldom meets the end of the cache."""
        return min(max_new_tokens, self.cache.capacity // 4) + 64

    def fits_frame(self, num_new: int) -> bool:
        """Whether `num_new` positions that end with a frame leave room for a response."""
        return self.cache.length + num_new <= self.cache.capacity - self._reserve

    def num_fitting(self, first_cost: int, cost: int) -> int:
        """How many frames fit: the first takes `first_cost` and is fed anyway, others `cost`."""
        limit = self.cache.capacity - self._reserve
        return 1 + max(0, limit - self.cache.length - first_cost) // cost

    def fits_prompt(self, num_new: int) -> bool:
        """Whether `num_new` positions of words leave room for a response behind them."""
        return self.cache.length + num_new + self._reserve // 2 <= self.cache.capacity

    def pin_up_to_next_frame(self) -> None:
        """Keep for ever what stands before the next frame fed: the standing instruction."""
        self._pins_next_frame = True

    def add_frame(self, position: int, opens_turn: bool) -> None:
        """Note that a frame was fed whose tokens begin at `position`."""
        if self._pins_next_frame:
            # A standing instruction must leave room for the stream itself.
            if position <= self.cache.capacity // 2:
                self.num_pinned = position
            self._pins_next_frame = False
        self._frame_starts.append(_FrameStart(position, opens_turn))
        self.num_frames += 1

    def rewind(self, num_frames: int) -> None:
        """Take back the last frames fed."""
        if not num_frames:
            return
        for _ in range(num_frames):
            self._frame_starts.pop()
        self.num_frames -= num_frames
        self.cache.truncate(self._frame_starts[-1].position + self._frame_num_tokens)

    def evict(self, num_new: int) -> Left:
        """Make room for `num_new` positions by dropping the oldest frames and what was said.

        Among the cuts that free a quarter to a half of the window it prefers one that opens a run
        of frames.
        """
        size = self.cache.capacity - self.num_pinned
        least = self.num_pinned + max(num_new, size // 4)
        cuts = [start for start in self._frame_starts if start.position >= least]
        turns = [cut for cut in cuts if cut.opens_turn and cut.position <= least + size // 4]
        # Late words after few frames: a cut that frees less, but enough.
        enough = self.num_pinned + num_new
        rest = [start for start in self._frame_starts if start.position >= enough]
        self.num_evictions += 1
        if not rest:
            return self._keep_newest_frame()
        end = (turns or cuts or rest[-1:])[0].position
        distance = end - self.num_pinned
        self.cache.evict(self.num_pinned, end)
        self._frame_starts = deque(
            _FrameStart(start.position - distance, start.opens_turn)
            for start in self._frame_starts
            if start.position >= end
        )
        return Left.FRAMES

    def _keep_newest_frame(self) -> Left:
        """Drop all but the newest frame, later words too; where there is none, begin anew."""
        if not self._frame_starts:
            self.cache.evict(0, self.cache.length)
            self._begin()
            return Left.NOTHING
        self.cache.evict(self.num_pinned, self._frame_starts[-1].position)
        self.cache.truncate(self.num_pinned + self._frame_num_tokens)
        self._frame_starts = deque([_FrameStart(self.num_pinned, opens_turn=True)])
        return Left.NEWEST_FRAME
