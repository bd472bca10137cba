# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decode lane's side of one camera: from its backlog to decisions and responses.

The forwards that judging needs are left to `decode_lane.py`, which may join those of cameras:

    while (segment := judge.next_forward()) is not None:
        judge.take_logits(...)
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence

import torch

from vlo_ros.attention import Segment
from vlo_ros.decoder import Plan
from vlo_ros.errors import ConfigError, one_line
from vlo_ros.events import Decision, Finish, FrameTokens, Outcome, Partial, Response
from vlo_ros.language_model import LanguageModel
from vlo_ros.ros.forgetting import Forgetting
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.publishers import StreamPublishers
from vlo_ros.ros.query_desk import QueryDesk
from vlo_ros.ros.statistics import StreamStatistics
from vlo_ros.stream import Stream

INTERRUPTED = 'a query interrupted it'


class Judge:
    """Drives one stream and publishes what comes of it.

    For the decode lane alone, but for `take_in`, which is the encode lane's.

    Attributes:
        is_open: Whether anything new is begun.
        is_speaking: Whether a response is being decoded.
    """

    def __init__(
        self,
        stream: Stream,
        topics: StreamPublishers,
        queries: QueryDesk,
        statistics: StreamStatistics,
        notices: Notices,
        forgetting: Forgetting,
        on_failure: Callable[[str, Exception], None],
        on_forgotten: Callable[[], None],
    ) -> None:
        """Drive `stream`, with the gate closed.

        Args:
            stream: The core's stream.
            topics: The way out.
            queries: Told which queries have their response.
            statistics: Counts what is judged.
            notices: Told of settings that do not fit.
            forgetting: Says when the stream is to be forgotten.
            on_failure: Told what failed, and how.
            on_forgotten: Called when the stream is as good as new.
        """
        self.is_open = False
        self.is_speaking = False
        self._stream = stream
        self._topics = topics
        self._queries = queries
        self._statistics = statistics
        self._notices = notices
        self._forgetting = forgetting
        self._on_failure = on_failure
        self._on_forgotten = on_forgotten
        self._accepted = stream.config  # settings that the stream was last reset with
        self._handover = threading.Lock()  # encode lane puts frames, decode lane forgets them
        self._epoch = 0
        self._early: list[FrameTokens] = []  # of _early_epoch, which is still to begin
        self._early_epoch = 0
        # What is under way: a plan, the forward it stands at, and what came of that forward.
        self._plan: Plan[None] | None = None
        self._segment: Segment | None = None
        self._logits_RK: torch.Tensor | None = None
        self._partial: Partial | None = None
        self._stop_reason = ''

    def take_in(self, encoded: Sequence[FrameTokens], epoch: int) -> None:
        """Let encoded frames wait; those of an epoch that was forgotten are dropped and counted.

        Those of one that is still to begin are kept until it does; they are few, since the
        encode lane rests while the stream is to be forgotten.
        """
        with self._handover:
            if epoch == self._epoch:
                for frame_tokens in encoded:
                    self._stream.put_frame(frame_tokens)
            elif epoch > max(self._epoch, self._early_epoch):
                self._forget_early()
                self._early, self._early_epoch = list(encoded), epoch
            elif epoch == self._early_epoch:
                self._early += encoded
            else:
                self._statistics.frames_forgotten += len(encoded)

    # -- rounds ----------------------------------------------------------------------------

    def next_forward(self) -> Segment | None:
        """Go on to the next forward, publishing what comes before; None when nothing is due.

        While the gate is closed only a sentence that was begun is stopped and given its end.
        """
        while True:
            if self._forgetting.is_due:
                self._forget()
            if not self.is_open:
                if not self.is_speaking:
                    return None
                self._stop('the node was deactivated')
            try:
                item = self._resume()
                if item is None or isinstance(item, Segment):
                    return item
                self._publish(item)
            except Exception as error:
                self.fail(error)

    def take_logits(self, logits_RK: torch.Tensor) -> None:
        """Take what came of the forward that `next_forward` returned last."""
        self._logits_RK = logits_RK

    def fail(self, error: Exception) -> None:
        """Judging failed somewhere: start afresh, and tell who waits."""
        self._drop_plan()
        self._on_failure('judging failed', error)
        self._forgetting.ask(f'judging failed: {one_line(error)}')

    def feed_alone(self, segment: Segment) -> None:
        """Do one forward for this stream alone."""
        try:
            (logits_RK,) = self.language.forward([segment])
        except Exception as error:
            self.fail(error)
        else:
            self.take_logits(logits_RK)

    def drain(self) -> None:
        """End what was begun. For a closed gate, while the decode lane is held still."""
        while (segment := self.next_forward()) is not None:
            self.feed_alone(segment)

    def release(self) -> None:
        """Let go of the weights."""
        self._drop_plan()
        del self._stream

    @property
    def language(self) -> LanguageModel:
        """What does the forwards; the same for all cameras of a node."""
        return self._stream.decoder.language

    def _drop_plan(self) -> None:
        if self._plan is not None:
            self._plan.close()
        self._plan = self._segment = self._logits_RK = None

    def _resume(self) -> Segment | Outcome | None:
        """Go on with the plan up to its next item; None when there is nothing to do."""
        if self._segment is not None and self._logits_RK is None:
            return self._segment
        logits_RK, self._logits_RK, self._segment = self._logits_RK, None, None
        if self._plan is None:
            self._plan = self._stream.plan()
        try:
            item = next(self._plan) if logits_RK is None else self._plan.send(logits_RK)
        except StopIteration:
            self._plan = None
            return None
        if isinstance(item, Segment):
            self._segment = item
        return item

    # -- outcomes --------------------------------------------------------------------------

    def _publish(self, outcome: Outcome) -> None:
        if isinstance(outcome, Decision):
            self.is_speaking = outcome.speaks
            self._statistics.frame_judged()
            self._topics.decision(outcome)
        elif isinstance(outcome, Partial):
            self.is_speaking = True
            self._partial = outcome
            self._topics.partial(outcome)
            if outcome.query is not None and (reason := self._queries.why_stopped(outcome.query)):
                self._stop(reason)
        else:
            reason, self._stop_reason = self._stop_reason or INTERRUPTED, ''
            self.is_speaking, self._partial = False, None
            self._topics.response(outcome, reason if outcome.finish is Finish.CANCELLED else '')
            if outcome.query is not None:
                self._queries.settle(outcome.query)

    def _stop(self, reason: str) -> None:
        """Stop the sentence under way between two tokens."""
        self._stop_reason = self._stop_reason or reason
        self._stream.cancel()

    # -- forgetting ------------------------------------------------------------------------

    def _forget(self) -> None:
        """Make the stream as good as new, once a sentence that was begun has its end."""
        ticket, epoch, reason = self._forgetting.begin()
        if self.is_speaking:
            self._end_sentence(reason)
        self._drop_plan()
        self.is_speaking, self._partial, self._stop_reason = False, None, ''
        with self._handover:
            self._statistics.frames_forgotten += self._stream.backlog_frames
            try:
                self._stream.reset()
            except ConfigError as error:
                self._notices.error('reset', f'reset with the settings before: {error}')
                self._stream.config = self._accepted
                self._stream.reset()
            self._accepted = self._stream.config
            self._epoch = epoch
            if self._early_epoch == epoch:
                for frame_tokens in self._early:
                    self._stream.put_frame(frame_tokens)
                self._early = []
            elif self._early_epoch < epoch:
                self._forget_early()
        self._statistics.resets += 1
        self._queries.refuse_all(reason)
        self._forgetting.end(ticket)
        self._on_forgotten()

    def _forget_early(self) -> None:
        """Drop frames of an epoch that will never be judged."""
        self._statistics.frames_forgotten += len(self._early)
        self._early = []

    def _end_sentence(self, reason: str) -> None:
        """Give a growing sentence its end, from the decoder or, where that failed, from here."""
        self._stop(reason)
        try:
            while self._plan is not None:
                item = self._resume()
                if isinstance(item, Segment):
                    (self._logits_RK,) = self.language.forward([item])
                elif isinstance(item, Response):
                    self._publish(item)
                    return
        except Exception as error:
            self._on_failure('stopping a response failed', error)
        if self._partial is not None:
            fields = {
                spec.name: getattr(self._partial, spec.name)
                for spec in dataclasses.fields(Partial)
                if spec.name != 'num_tokens'
            }
            self._publish(Response(**fields, token_ids=(), finish=Finish.CANCELLED))
