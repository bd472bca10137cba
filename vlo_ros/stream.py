# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream from encoded frames and queries to decisions and responses.

Joins the backlog (filled by any thread) to the decoder (driven by one). The node, replay,
evaluation and tests all go through `Stream.advance`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

from vlo_ros.attention import Segment
from vlo_ros.backlog import Backlog
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.decoder import Plan, StreamDecoder, carry_out
from vlo_ros.errors import ConfigError
from vlo_ros.events import Decision, FrameTokens, Outcome, Query, Verdict

# What memory and queues were made with.
FOR_LIFE = ('window_tokens', 'protocol', 'backlog_frames', 'backlog_queries')


class Stream:
    """State of one camera: what waits, and what the model remembers.

    `put_*`, `cancel` and the counters are safe from any thread; `advance` and `reset` belong to
    one.

    Attributes:
        config: Settings now in force.
        decoder: The stream's decoder.
    """

    def __init__(self, model: VloModel, config: StreamConfig) -> None:
        """Start an empty stream on shared weights."""
        self.config = config
        self._cancelled = threading.Event()
        self._backlog = Backlog(
            config.backlog_frames,
            config.backlog_queries,
            by_arrival=config.protocol == 'official',
        )
        self._template = model.template
        self.decoder = StreamDecoder(
            model.language, model.template, config, self._cancelled.is_set
        )
        self._chunk = ChunkPolicy(config.chunk)

    def put_frame(self, frame: FrameTokens) -> None:
        """Let a frame wait; when too many do, the oldest is dropped and counted."""
        self._backlog.put_frame(frame)

    def put_query(self, query: Query) -> str | None:
        """Let a query wait, or return why it is refused."""
        if len(query.text) > self.config.max_query_chars:
            return (
                f'the query has {len(query.text)} characters, at most '
                f'{self.config.max_query_chars} are accepted'
            )
        text = self._template.plain(query.text)
        if not text:
            return 'the query is empty'
        longest = self.decoder.cache.capacity // 4
        if len(self._template.encode(text)) > longest:
            return f'the query is longer than {longest} tokens, a quarter of the window'
        # Before it waits: afterwards a cancel could stop its own answer.
        interrupt = self.cancel if self.config.interrupt else None
        if not self._backlog.put_query(query, before=interrupt):
            return f'{self.config.backlog_queries} queries are waiting already'
        return None

    def hurry(self, query: Query) -> bool:
        """Let a query be answered though no frame comes; False when it does not wait."""
        return self._backlog.hurry(query)

    def withdraw(self, query: Query) -> bool:
        """Take back a query that still waits; False when its answer has begun or ended."""
        return self._backlog.withdraw(query)

    def cancel(self) -> None:
        """Stop the response being decoded between two tokens."""
        self._cancelled.set()

    def advance(self, *, flush: bool = False) -> Iterator[Outcome]:
        """Judge and answer what is due, yielding outcomes as they happen.

        Args:
            flush: Also answer queries behind which no frame waits.
        """
        return carry_out(self.plan(flush=flush), self.decoder.language)

    def plan(self, *, flush: bool = False) -> Plan[None]:
        """As `advance`, but leave the forwards to the caller, who may join those of streams."""
        while True:
            # Before taking: a cancel that comes from here on is meant for what is taken.
            events = self._backlog.take(
                self._chunk.size(self.backlog_frames), flush=flush, before=self._cancelled.clear
            )
            if not events:
                return
            try:
                with contextlib.closing(self.decoder.plan(events)) as plan:
                    yield from self._observe(plan)
            finally:
                self._backlog.put_back(self.decoder.unjudged)

    def _observe(self, plan: Plan[None]) -> Plan[None]:
        """Pass a plan on, learning from its decisions."""
        for item in plan:
            while isinstance(item, Segment):
                logits_RK = yield item
                try:
                    item = plan.send(logits_RK)
                except StopIteration:
                    return
            if isinstance(item, Decision):
                self._chunk.observe(item.verdict is not Verdict.SILENT)
            yield item

    def reset(self) -> None:
        """Forget everything, what waits included, and apply the settings given meanwhile.

        Raises:
            ConfigError: The window is too small for the new system prompt; nothing has changed.
        """
        self.decoder.check_window(self.config)
        self._backlog.clear()
        self.decoder.config = self.config
        self.decoder.reset()
        self._chunk = ChunkPolicy(self.config.chunk)

    def configure(self, **changes: Any) -> None:
        """Change live settings at once; the others take effect at the next reset.

        Raises:
            ConfigError: Unknown setting, value out of range, or a setting that a stream has for
                life; nothing has changed.
        """
        known = {spec.name: spec for spec in dataclasses.fields(StreamConfig)}
        for name, value in changes.items():
            if name not in known:
                raise ConfigError(f'stream.{name} is unknown')
            if name in FOR_LIFE and value != getattr(self.config, name):
                raise ConfigError(f'stream.{name} is fixed when a stream is made')
        self.config = dataclasses.replace(self.config, **changes)
        live = {
            name: getattr(self.config, name) for name in changes if known[name].metadata['live']
        }
        self.decoder.config = dataclasses.replace(self.decoder.config, **live)

    @property
    def num_dropped(self) -> int:
        """Frames dropped from the full backlog."""
        return self._backlog.num_dropped

    @property
    def num_judged(self) -> int:
        """Frames judged since the last reset."""
        return self.decoder.num_judged

    @property
    def num_evictions(self) -> int:
        """Times the oldest turns were evicted since the last reset."""
        return self.decoder.window.num_evictions

    @property
    def backlog_frames(self) -> int:
        """Encoded frames waiting."""
        return self._backlog.num_frames

    @property
    def backlog_queries(self) -> int:
        """Queries waiting."""
        return self._backlog.num_queries

    @property
    def cache_fill(self) -> float:
        """Share of the window in use, 0 to 1."""
        return self.decoder.cache.length / self.decoder.cache.capacity


class ChunkPolicy:
    """How many waiting frames to judge in one forward.

    With `auto`, a chunk is about as long as the silences have been lately: frames behind one that
    speaks are fed again, so longer chunks waste work when the model speaks often.
    """

    MAX_CHUNK = 32  # bandwidth-bound up to about 27 frames of v1+ on an H100 (docs/engine.md)

    def __init__(self, chunk: str) -> None:
        """Follow the setting `stream.chunk`."""
        self._fixed = None if chunk == 'auto' else int(chunk)
        self._speaking_rate = 0.1

    def size(self, num_waiting: int) -> int:
        """Frames to take now."""
        if self._fixed is not None:
            return self._fixed
        silence = round(1 / max(self._speaking_rate, 1e-3))
        return max(1, min(num_waiting, silence, self.MAX_CHUNK))

    def observe(self, spoke: bool) -> None:
        """Learn from one verdict; the memory is about 30 frames long."""
        self._speaking_rate += (float(spoke) - self._speaking_rate) / 30
