"""Turns frame tokens and queries into decisions and responses, one step at a time.

Knows nothing of ROS, cameras, clocks or files. A StreamDecoder owns what one stream remembers;
the weights it runs on are shared.
"""

# Shapes: F tokens per frame, D hidden dim, T tokens, N frames, K vocabulary.
from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
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
from vlo_ros.language_model import LanguageModel
from vlo_ros.template import ASSISTANT, CLOSE_STREAM, OPEN_STREAM, USER, Template

T = TypeVar('T')
# Yields forwards, to be answered with logits (R, K), and outcomes.
Plan: TypeAlias = Generator[Segment | Outcome, torch.Tensor, T]


@dataclass(frozen=True)
class _FrameStart:
    """Where a frame's tokens begin in the cache; the stream may be cut there."""

    position: int
    opens_turn: bool


class StreamDecoder:
    """One stream: its KV cache, and what is decided but not fed yet.

    Attributes:
        cache: The stream's keys and values.
        num_judged: Frames judged since the last reset.
        num_evictions: Times the oldest turns were dropped since the last reset.
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
        self.cache = language.new_cache(config.window_tokens)
        self.reset()

    def reset(self) -> None:
        """Forget the stream; afterwards it equals a fresh one.

        Raises:
            ConfigError: The window cannot hold the system prompt and one response; nothing has
                changed.
        """
        self.check_window(self.config)
        self.cache.reset()
        self._reserve = self._reserve_of(self.config)
        self.num_judged = 0
        self.num_evictions = 0
        self.unjudged: list[FrameTokens] = []
        self._spoke = False
        self._frame_stamp_ns: int | None = None
        self._frame_starts: deque[_FrameStart] = deque()
        self._num_fed = 0
        self._begin()

    def _begin(self) -> None:
        """Stand before the system prompt."""
        self._pending: list[int] = []  # chosen, not fed yet
        self._run = self.config.system_prompt + '\n'  # text not tokenised yet
        self._is_first_run = True
        self._stream_open = False
        self._pinned = 0  # positions never evicted: system prompt and standing instruction
        self._pins_next_frame = True

    def _reserve_of(self, config: StreamConfig) -> int:
        """Room behind the frames, so that a response seldom meets the end of the cache."""
        return min(config.max_new_tokens, self.cache.capacity // 4) + 64

    def check_window(self, config: StreamConfig) -> None:
        """Raise ConfigError unless the window holds what `config` puts first, and a response."""
        template = self.template
        if template.has_special(config.system_prompt):
            raise ConfigError('stream.system_prompt: it holds a special token of the tokenizer')
        opening = template.bos + config.system_prompt + '\n' + OPEN_STREAM
        least = len(template.encode(opening, first=True)) + 4 * template.frame_num_tokens
        least += self._reserve_of(config)
        if config.instruction:
            least += len(template.encode(template.plain(config.instruction)))
        if self.cache.capacity < least:
            raise ConfigError(
                f'stream.window_tokens: {self.cache.capacity} is too small, the system prompt, '
                f'a few frames and a response need {least}'
            )

    @property
    def num_evicted(self) -> int:
        """Positions evicted since the last reset."""
        return self.cache.num_evicted

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
            self._run = CLOSE_STREAM + USER + self.template.plain(self.config.instruction)
            self._stream_open = False
        # What is said on the first frame is the standing instruction: it is never evicted.
        self._pins_next_frame = self._pins_next_frame or self._num_fed == 1
        yield Decision(frames[0].stamp_ns, frames[0].index, p_silence, Verdict.QUERY)
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
        self._rewind(len(frames) - num_judged)
        self.unjudged = frames[num_judged:] + rest
        self.num_judged += num_judged
        self._spoke = False
        frames = frames[:num_judged]
        self._frame_stamp_ns = frames[-1].stamp_ns
        for frame, (p_silence, silent) in zip(frames, verdicts, strict=False):
            verdict = Verdict.SILENT if silent else Verdict.RESPOND
            yield Decision(frame.stamp_ns, frame.index, p_silence, verdict)
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
        first_cost = len(self._opening()[0]) + template.frame_num_tokens
        limit = self.cache.capacity - self._reserve
        if self.cache.length + first_cost > limit:
            self._evict(first_cost)
            first_cost = len(self._opening()[0]) + template.frame_num_tokens
        num_fit = 1 + max(0, limit - self.cache.length - first_cost) // cost
        return frames[:num_fit], frames[num_fit:]

    def _opening(self) -> tuple[list[int], bool]:
        """Ids to feed before the next frame, and whether it opens a run of frames."""
        if self._stream_open:
            return self._pending + self.template.interval_ids, False
        if self._pending and not self._closes_with_eos():
            return list(self._pending), True  # official: a cut response is left open
        return self._pending + self._encode_run(OPEN_STREAM), True

    def _closes_with_eos(self) -> bool:
        return self.config.protocol != 'official' or self._pending[-1] == self.template.eos_id

    def _feed(self, frames: list[FrameTokens]) -> Plan[torch.Tensor]:
        """Feed frames in one forward; return the logits (N, K) at the last token of each."""
        template, language = self.template, self.language
        opening, opens_turn = self._opening()
        parts, length, read_rows = [], 0, []
        for row, frame in enumerate(frames):
            before = template.interval_ids if row else opening
            if before:
                parts.append(language.embed(before))
            parts.append(frame.tokens_FD.to(language.device, language.dtype))
            length += len(before) + template.frame_num_tokens
            read_rows.append(length - 1)
        base = self.cache.length
        logits_NK = yield Segment(torch.cat(parts), self.cache, tuple(read_rows))
        for row, end in enumerate(read_rows):
            position = base + end + 1 - template.frame_num_tokens
            if self._pins_next_frame:
                # A standing instruction must leave room for the stream itself.
                self._pinned = position if position <= self.cache.capacity // 2 else self._pinned
                self._pins_next_frame = False
            self._frame_starts.append(_FrameStart(position, opens_turn and not row))
        self._pending, self._run, self._is_first_run = [], '', False
        self._stream_open = True
        self._num_fed += len(frames)
        self._frame_stamp_ns = frames[-1].stamp_ns
        return logits_NK

    def _rewind(self, num_frames: int) -> None:
        """Take back the last frames fed."""
        if not num_frames:
            return
        for _ in range(num_frames):
            self._frame_starts.pop()
        self._num_fed -= num_frames
        last = self._frame_starts[-1]
        self.cache.truncate(last.position + self.template.frame_num_tokens)

    # -- words -----------------------------------------------------------------------------

    def _answer(self, query: Query) -> Plan[None]:
        ask = USER + self.template.plain(query.text) + ASSISTANT
        yield from self._respond(ask, Trigger.QUERY, query, query.stamp_ns, None)

    def _prompt(self, ask: str, trigger: Trigger) -> list[int]:
        """Ids that end what is open and `ask` for a response; changes nothing."""
        if self.config.protocol == 'official' and trigger is Trigger.QUERY:
            # The published loop drops whatever is pending and closes a stream, open or not.
            run = '' if self._is_first_run else self._run
            return self.template.encode((run or CLOSE_STREAM) + ask)
        closing = CLOSE_STREAM if self._stream_open else ''
        return self._pending + self._encode_run(closing + ask)

    def _encode_run(self, text: str) -> list[int]:
        """Ids of the text not fed yet, `text` behind it; the first of all begins with bos."""
        if self._is_first_run:
            return self.template.encode(self.template.bos + self._run + text, first=True)
        return self.template.encode(self._run + text)

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
        ids: list[int] = []
        finish = Finish.CANCELLED
        fed = self._prompt(ask, trigger)
        if self.cache.length + len(fed) + self._reserve // 2 > self.cache.capacity:
            self._evict(len(fed))
            fed = self._prompt(ask, trigger)
        try:
            while not self.should_stop():
                token_id = yield from self._next_token(fed)
                ids.append(token_id)
                fed = [token_id]
                if token_id == self.template.eos_id:
                    finish = Finish.EOS
                    break
                yield Partial(
                    stamp_ns,
                    frame_stamp_ns,
                    trigger,
                    query,
                    self.template.decode(ids),
                    len(ids),
                    p_silence,
                )
                if (
                    len(ids) >= self.config.max_new_tokens
                    or self.cache.length == self.cache.capacity
                ):
                    finish = Finish.LENGTH
                    break
        finally:
            if ids:
                self._end_turn(ids)
        yield Response(
            stamp_ns,
            frame_stamp_ns,
            trigger,
            query,
            self.template.decode(ids),
            tuple(ids),
            finish,
            p_silence,
        )

    def _end_turn(self, ids: list[int]) -> None:
        """Note what a response leaves to be fed with whatever comes next; its prompt is fed."""
        self._pending = ids[-1:]
        if self.config.protocol != 'official':
            if ids == [self.template.eos_id]:
                self._pending = [*self.template.empty_response_ids, *ids]
            elif ids[-1] != self.template.eos_id:
                self._pending = [*self._pending, self.template.eos_id]
        self._run, self._is_first_run, self._stream_open = '', False, False
        self._spoke = True

    def _next_token(self, ids: list[int]) -> Plan[int]:
        """Feed `ids` and return the most likely id to follow."""
        logits_1K = yield Segment(self.language.embed(ids), self.cache, (len(ids) - 1,))
        return int(logits_1K.argmax())

    # -- a stream without end --------------------------------------------------------------

    def _evict(self, num_new: int) -> None:
        """Make room for `num_new` positions by dropping the oldest frames and what was said.

        Cuts only where a frame begins, so that what is left reads like a stream that begins
        there; among the cuts that free a quarter to a half of the window it prefers one that
        opens a run of frames.
        """
        window = self.cache.capacity - self._pinned
        least = self._pinned + max(num_new, window // 4)
        cuts = [start for start in self._frame_starts if start.position >= least]
        turns = [cut for cut in cuts if cut.opens_turn and cut.position <= least + window // 4]
        # Late words after few frames: a cut that frees less, but enough.
        rest = [start for start in self._frame_starts if start.position >= self._pinned + num_new]
        self.num_evictions += 1
        if not rest:
            self._keep_newest_frame()
            return
        end = (turns or cuts or rest[-1:])[0].position
        distance = end - self._pinned
        self.cache.evict(self._pinned, end)
        self._frame_starts = deque(
            _FrameStart(start.position - distance, start.opens_turn)
            for start in self._frame_starts
            if start.position >= end
        )

    def _keep_newest_frame(self) -> None:
        """Drop all but the newest frame, later words too; where there is none, begin anew."""
        if not self._frame_starts:
            self.cache.evict(0, self.cache.length)
            self._begin()
            return
        self.cache.evict(self._pinned, self._frame_starts[-1].position)
        self.cache.truncate(self._pinned + self.template.frame_num_tokens)
        self._frame_starts = deque([_FrameStart(self._pinned, opens_turn=True)])
        self._pending, self._run, self._stream_open = [], '', True


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
