# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns frame tokens and queries into decisions and responses, one step at a time.

Knows nothing of ROS, cameras, clocks or files. A StreamDecoder owns what one stream remembers;
the weights it runs on are shared.
"""

# Shapes: F tokens per frame, D hidden dim, T tokens, N frames, K vocabulary.
from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias, TypeVar

import torch

from vlo_ros.attention import Segment
from vlo_ros.config import StreamConfig
from vlo_ros.decision import decide
from vlo_ros.errors import ConfigError
from vlo_ros.events import (
    Decision,
    Event,
    Finish,
    FrameTokens,
    Outcome,
    Partial,
    Query,
    Response,
    Trigger,
    Verdict,
)
from vlo_ros.kv_cache import KVCache
from vlo_ros.language_model import LanguageModel
from vlo_ros.pending import Pending
from vlo_ros.template import ASSISTANT, OPEN_STREAM, USER, Template
from vlo_ros.window import Left, Window

T = TypeVar('T')
# Yields forwards, to be answered with logits (R, K), and outcomes.
Plan: TypeAlias = Generator[Segment | Outcome, torch.Tensor, T]


class StreamDecoder:
    """One stream: what it remembers, and what is decided but not fed yet.

    Attributes:
        window: The stream's KV cache and where its frames stand in it.
        num_judged: Frames judged since the last reset.
        unjudged: Frames of the last step that came after one that spoke, or whose forward was
            never done; give them back.
    """

    def __init__(
        self,
        language: LanguageModel,
        template: Template,
        config: StreamConfig,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start an empty stream.

        Args:
            language: Shared weights.
            template: The conversation format of those weights.
            config: Settings; replace `config` for live changes.
            should_stop: Asked between two tokens of a response; True cancels it.

        Raises:
            ConfigError: The window cannot hold the system prompt and one response.
        """
        self.language = language
        self.template = template
        self.config = config
        self.should_stop = should_stop
        self.window = Window(
            language.new_cache(config.window_tokens),
            template.frame_num_tokens,
            config.max_new_tokens,
        )
        self.reset()

    def reset(self) -> None:
        """Forget the stream; afterwards it equals a fresh one.

        Raises:
            ConfigError: The window cannot hold the system prompt and one response; nothing has
                changed.
        """
        self.check_window(self.config)
        self.window.reset(self.config.max_new_tokens)
        self.num_judged = 0
        self.unjudged: list[FrameTokens] = []
        self._spoke = False
        self._frame_stamp_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        """Stand before the system prompt."""
        self._pending = Pending(self.template, self.config.protocol, self.config.system_prompt)

    def check_window(self, config: StreamConfig) -> None:
        """Raise ConfigError unless the window holds what `config` puts first, and a response."""
        template = self.template
        if template.has_special(config.system_prompt):
            raise ConfigError('stream.system_prompt: it holds a special token of the tokenizer')
        opening = template.bos + config.system_prompt + '\n' + OPEN_STREAM
        least = len(template.encode(opening, first=True)) + 4 * template.frame_num_tokens
        least += self.window.reserve_for(config.max_new_tokens)
        if config.instruction:
            least += len(template.encode(template.plain(config.instruction)))
        if self.cache.capacity < least:
            raise ConfigError(
                f'stream.window_tokens: {self.cache.capacity} is too small, the system prompt, '
                f'a few frames and a response need {least}'
            )

    @property
    def cache(self) -> KVCache:
        """The stream's keys and values."""
        return self.window.cache

    def step(self, events: Sequence[Event]) -> Generator[Outcome, None, None]:
        """Feed events in order and yield what follows from them; see `plan`."""
        yield from carry_out(self.plan(events), self.language)

    def plan(self, events: Sequence[Event]) -> Plan[None]:
        """Feed events in order: yield each forward that is needed, and what follows from it.

        Who drives the plan does the forward, alone or together with those of other streams, and
        sends the logits back.

        Args:
            events: One query; or frames, judged together up to the first that speaks (the rest
                is left in `unjudged`); or one frame and a query of the same stamp.
        """
        self.unjudged = [event for event in events if isinstance(event, FrameTokens)]
        if isinstance(events[0], Query):
            yield from self._answer(events[0])
            return
        frames = self.unjudged
        query = next((event for event in events if isinstance(event, Query)), None)
        asks_first = bool(self.config.instruction) and self._frame_stamp_ns is None
        if query is None and not asks_first:
            yield from self._judge(frames)
            return
        self._fit(frames[:1])
        logits_1K = yield from self._feed(frames[:1])
        ((p_silence, _),) = decide(logits_1K, self.template.silence_id, [0.0])
        self.unjudged = frames[1:]
        if asks_first:
            self._pending.instruct(self.config.instruction)
        if self.window.num_frames == 1:
            # What is said on the first frame is the standing instruction: it is never evicted.
            self.window.pin_up_to_next_frame()
        threshold = self.config.threshold_after(self._spoke)
        about = (frames[0].stamp_ns, frames[0].index, p_silence)
        yield Decision(*about, Verdict.QUERY, threshold, query)
        if query is not None:
            yield from self._answer(query)

    # -- frames ----------------------------------------------------------------------------

    def _judge(self, frames: list[FrameTokens]) -> Plan[None]:
        """Draft silence for all frames, feed them at once, accept up to the first that speaks."""
        frames, rest = self._fit(frames)
        logits_NK = yield from self._feed(frames)
        thresholds = [
            self.config.threshold_after(self._spoke and not row) for row in range(len(frames))
        ]
        verdicts = decide(logits_NK, self.template.silence_id, thresholds)
        num_silent = next((row for row, (_, silent) in enumerate(verdicts) if not silent), None)
        speaks = num_silent is not None
        num_judged = num_silent + 1 if num_silent is not None else len(frames)
        # All of the state is settled before the first outcome leaves: who listens may stop there.
        self.window.rewind(len(frames) - num_judged)
        self.unjudged = frames[num_judged:] + rest
        self.num_judged += num_judged
        self._spoke = False
        frames = frames[:num_judged]
        self._frame_stamp_ns = frames[-1].stamp_ns
        for frame, threshold, (p_silence, silent) in zip(
            frames, thresholds, verdicts, strict=False
        ):
            verdict = Verdict.SILENT if silent else Verdict.RESPOND
            yield Decision(frame.stamp_ns, frame.index, p_silence, verdict, threshold)
        if speaks:
            yield from self._respond(
                ASSISTANT,
                Trigger.PROACTIVE,
                None,
                frames[-1].stamp_ns,
                verdicts[num_judged - 1][0],
            )

    def _fit(self, frames: list[FrameTokens]) -> tuple[list[FrameTokens], list[FrameTokens]]:
        """Split off the frames that one at a time would be fed after an eviction."""
        template = self.template
        cost = len(template.interval_ids) + template.frame_num_tokens
        first_cost = len(self._pending.before_frame()[0]) + template.frame_num_tokens
        if not self.window.fits_frame(first_cost):
            self._evict(first_cost)
            first_cost = len(self._pending.before_frame()[0]) + template.frame_num_tokens
        num_fit = self.window.num_fitting(first_cost, cost)
        return frames[:num_fit], frames[num_fit:]

    def _feed(self, frames: list[FrameTokens]) -> Plan[torch.Tensor]:
        """Feed frames in one forward; return the logits (N, K) at the last token of each."""
        template, language = self.template, self.language
        opening, opens_turn = self._pending.before_frame()
        texts = [opening, *[template.interval_ids] * (len(frames) - 1)]
        # All at once: on CUDA each lookup copies its ids to the device.
        text_TD = language.embed([text_id for text in texts for text_id in text])
        parts, length, read_rows = [], 0, []
        lengths = [len(text) for text in texts]
        for frame, before_TD in zip(frames, torch.split(text_TD, lengths), strict=True):
            parts += [before_TD, frame.tokens_FD.to(language.device, language.dtype)]
            length += len(before_TD) + template.frame_num_tokens
            read_rows.append(length - 1)
        base = self.cache.length
        logits_NK = yield Segment(torch.cat(parts), self.cache, tuple(read_rows))
        for row, end in enumerate(read_rows):
            position = base + end + 1 - template.frame_num_tokens
            self.window.add_frame(position, opens_turn and not row)
        self._pending.end_with_frame()
        self._frame_stamp_ns = frames[-1].stamp_ns
        return logits_NK

    def _evict(self, num_new: int) -> None:
        """Make room for `num_new` positions; what is pending goes with the words it ends."""
        left = self.window.evict(num_new)
        if left is Left.NEWEST_FRAME:
            self._pending.end_with_frame()
        elif left is Left.NOTHING:
            self._begin()

    # -- words -----------------------------------------------------------------------------

    def _answer(self, query: Query) -> Plan[None]:
        ask = USER + self.template.plain(query.text) + ASSISTANT
        yield from self._respond(ask, Trigger.QUERY, query, query.stamp_ns, None)

    def _respond(
        self,
        ask: str,
        trigger: Trigger,
        query: Query | None,
        stamp_ns: int,
        p_silence: float | None,
    ) -> Plan[None]:
        """Feed the prompt, then decode greedily until end of turn, limit or cancellation.

        Cancelled or failed before the prompt is fed, it leaves no trace in the stream.
        """
        frame_stamp_ns = stamp_ns if self._frame_stamp_ns is None else self._frame_stamp_ns
        about = (stamp_ns, frame_stamp_ns, trigger, query)
        ids: list[int] = []
        finish = Finish.CANCELLED
        fed = self._pending.before_words(ask, trigger)
        if not self.window.fits_prompt(len(fed)):
            self._evict(len(fed))
            fed = self._pending.before_words(ask, trigger)
        try:
            while not self.should_stop():
                token_id = yield from self._next_token(fed)
                ids.append(token_id)
                fed = [token_id]
                if token_id == self.template.eos_id:
                    finish = Finish.EOS
                    break
                yield Partial(*about, self.template.decode(ids), len(ids), p_silence)
                is_full = self.cache.length == self.cache.capacity
                if is_full or len(ids) >= self.config.max_new_tokens:
                    finish = Finish.LENGTH
                    break
        finally:
            if ids:
                self._pending.end_with_response(ids)
                self._spoke = True
        yield Response(*about, self.template.decode(ids), tuple(ids), finish, p_silence)

    def _next_token(self, ids: list[int]) -> Plan[int]:
        """Feed `ids` and return the most likely id to follow."""
        logits_1K = yield Segment(self.language.embed(ids), self.cache, (len(ids) - 1,))
        return int(logits_1K.argmax())


def carry_out(plan: Plan[None], language: LanguageModel) -> Generator[Outcome, None, None]:
    """Do a plan's forwards one by one and yield its outcomes."""
    with contextlib.closing(plan):
        for item in plan:
            while isinstance(item, Segment):
                (logits_RK,) = language.forward([item])
                try:
                    item = plan.send(logits_RK)
                except StopIteration:
                    return
            yield item
