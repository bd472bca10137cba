# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same stream, as plainly as it can be written: one event per forward, an ordinary cache.

Shares with the engine what a conversation looks like (the template), nothing of how it is
remembered: what is evicted is cut out of transformers' own cache, which is built anew from keys
that were never rotated.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from tests.unrotated_keys import UnrotatedKeys
from vlo_ros.config import StreamConfig
from vlo_ros.events import FrameTokens, Query
from vlo_ros.template import Template


@dataclass
class Piece:
    """Positions that stay or go together.

    Attributes:
        size: How many.
        is_frame: The tokens of a frame; otherwise an interval or words.
        opens: A frame with words, no interval, before it.
    """

    size: int
    is_frame: bool = False
    opens: bool = False


class PlainStream:
    """Feeds transformers' own model with transformers' own cache and attention.

    Attributes:
        log: ('frame', index, p_silence, verdict) and ('response', stamp_ns, ids, finish).
        evictions: How often the window was cut, by what was left: 'frames', 'newest', 'nothing'.
        pieces: What the cache holds; the first `num_pinned` of them stay.
    """

    def __init__(self, llm: Any, template: Template, config: StreamConfig) -> None:
        self.llm, self.template, self.config = llm, template, config
        self.room = config.window_tokens or llm.config.max_position_embeddings
        self.reserve = min(config.max_new_tokens, self.room // 4) + 64
        self.cache = DynamicCache()
        self.log: list[tuple] = []
        self.evictions: collections.Counter[str] = collections.Counter()
        self.spoke = False
        self.start_anew()

    def start_anew(self) -> None:
        """Stand before the system prompt."""
        self.pieces: list[Piece] = []
        self.num_pinned = 0
        self.pins_up_to_next_frame = True
        self.waiting = ''  # text not fed yet
        self.tail: list[int] = []  # ids before it
        self.begun = self.in_stream = False

    @property
    def size(self) -> int:
        """Positions in use."""
        return sum(piece.size for piece in self.pieces)

    # -- in -------------------------------------------------------------------------------

    def run(self, frames: list[FrameTokens], queries: list[Query]) -> list[tuple]:
        """Play a whole stream; return its log."""
        self.memory = UnrotatedKeys(self.llm)
        try:
            self.play(frames, sorted(queries, key=lambda query: query.stamp_ns))
        finally:
            self.memory.close()
        return self.log

    def play(self, frames: list[FrameTokens], queries: list[Query]) -> None:
        for frame in frames:
            while queries and queries[0].stamp_ns < frame.stamp_ns:
                self.answer(queries.pop(0))
            logits = self.see(frame)
            p_silence = float(logits.softmax(-1)[self.template.silence_id])
            asked = queries and queries[0].stamp_ns == frame.stamp_ns
            instructed = frame is frames[0] and self.config.instruction
            if asked or instructed:
                self.log.append(('frame', frame.index, p_silence, 'query'))
                if instructed:
                    self.waiting += ']\nUser: ' + self.config.instruction
                    self.in_stream = False
                if frame is frames[0]:
                    self.pins_up_to_next_frame = True
                if asked:
                    self.answer(queries.pop(0))
                continue
            threshold = self.config.silence_threshold
            if self.spoke and self.config.resume_silence_threshold is not None:
                threshold = self.config.resume_silence_threshold
            self.spoke = False
            if p_silence < threshold:
                logits[self.template.silence_id] = -torch.inf
            silent = int(logits.argmax()) == self.template.silence_id
            self.log.append(('frame', frame.index, p_silence, 'silent' if silent else 'respond'))
            if not silent:
                self.respond('\nAssistant:', frame.stamp_ns)
        for query in queries:
            self.answer(query)

    def see(self, frame: FrameTokens) -> torch.Tensor:
        """Feed what comes before a frame, and the frame."""
        if self.size + len(self.before_frame()) + len(frame.tokens_FD) > self.room - self.reserve:
            self.make_room(len(self.before_frame()) + len(frame.tokens_FD))
        return self.feed(self.before_frame(), frame)

    def answer(self, query: Query) -> None:
        asked = self.template.plain(query.text)
        self.respond(f'\nUser: {asked}\nAssistant:', query.stamp_ns)

    def respond(self, ask: str, stamp_ns: int) -> None:
        fed = self.before_words(ask)
        if self.size + len(fed) + self.reserve // 2 > self.room:
            self.make_room(len(fed))
            fed = self.before_words(ask)
        self.spoke = True
        ids: list[int] = []
        finish = ''
        while not finish:
            ids.append(int(self.feed(fed).argmax()))
            fed = ids[-1:]
            if ids[-1] == self.template.eos_id:
                finish = 'eos'
            elif len(ids) == self.config.max_new_tokens or self.size == self.room:
                finish = 'length'
        self.log.append(('response', stamp_ns, tuple(ids), finish))
        self.tail = fed if finish == 'eos' else [*fed, self.template.eos_id]
        if ids == [self.template.eos_id]:
            self.tail = [*self.template.empty_response_ids, *fed]

    # -- text that waits ------------------------------------------------------------------

    def before_frame(self) -> list[int]:
        return self.template.interval_ids if self.in_stream else self.behind('\n[')

    def before_words(self, ask: str) -> list[int]:
        return self.behind((']' if self.in_stream else '') + ask)

    def behind(self, text: str) -> list[int]:
        """Ids of what waits with `text` behind it."""
        waiting = self.waiting + text
        if not self.begun:
            waiting = self.template.bos + self.config.system_prompt + '\n' + waiting
        return self.tail + self.template.encode(waiting, first=not self.begun)

    # -- what is remembered ---------------------------------------------------------------

    def feed(self, ids: list[int], frame: FrameTokens | None = None) -> torch.Tensor:
        """Feed ids, a frame behind them; return the logits after the last position."""
        embeddings = self.llm.get_input_embeddings()(torch.tensor(ids, dtype=torch.long))
        opens, self.in_stream = not self.in_stream, frame is not None
        self.begun, self.waiting, self.tail = True, '', []
        self.pieces.append(Piece(len(ids)))
        if frame is not None:
            embeddings = torch.cat((embeddings, frame.tokens_FD))
            # What would leave no room for the stream itself is not pinned.
            if self.pins_up_to_next_frame and self.size <= self.room // 2:
                self.num_pinned = len(self.pieces)
            self.pins_up_to_next_frame = False
            self.pieces.append(Piece(len(frame.tokens_FD), is_frame=True, opens=opens))
        with torch.no_grad():
            output = self.llm(inputs_embeds=embeddings[None], past_key_values=self.cache)
        return output.logits[0, -1].clone()

    def make_room(self, num_new: int) -> None:
        """Cut the oldest pieces behind the pinned ones, up to where a frame begins.

        A quarter of the room behind them goes at least; within another quarter a frame is
        preferred that words stand before. If there is none so late, as much goes as can; and if
        that is not enough, all but the newest frame, the words behind it too; without a frame,
        everything.
        """
        pinned = sum(piece.size for piece in self.pieces[: self.num_pinned])
        quarter = (self.room - pinned) // 4
        wanted = max(num_new, quarter)
        freed, cuts = 0, []  # (positions freed, place among the pieces, piece)
        for place, piece in enumerate(self.pieces[self.num_pinned :], self.num_pinned):
            if piece.is_frame and freed >= num_new:
                cuts.append((freed, place, piece))
            freed += piece.size
        best = [cut for cut in cuts if cut[0] >= wanted]
        opening = [cut for cut in best if cut[2].opens and cut[0] <= wanted + quarter]
        frames = [place for place, piece in enumerate(self.pieces) if piece.is_frame]
        if cuts:
            self.evictions['frames'] += 1
            (_, place, _) = (opening or best or cuts[-1:])[0]
            self.cut(self.num_pinned, place)
        elif frames:
            self.evictions['newest'] += 1
            self.cut(frames[-1] + 1, len(self.pieces))
            self.cut(self.num_pinned, frames[-1])
            self.pieces[-1].opens = True
            self.waiting, self.tail, self.in_stream = '', [], True
        else:
            self.evictions['nothing'] += 1
            self.cut(0, len(self.pieces))
            self.start_anew()

    def cut(self, first: int, end: int) -> None:
        """Forget the pieces [first, end)."""
        start = sum(piece.size for piece in self.pieces[:first])
        stop = start + sum(piece.size for piece in self.pieces[first:end])
        keys_LGSE, values_LGSE = self.memory.keep([*range(start), *range(stop, self.size)])
        self.cache = DynamicCache()
        for layer, (keys, values) in enumerate(zip(keys_LGSE, values_LGSE, strict=True)):
            if len(keys[0]):
                self.cache.update(keys[None], values[None], layer)
        del self.pieces[first:end]
