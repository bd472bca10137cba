# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many streams on one model: what they need next is fed in one forward.

A forward of a few tokens costs the reading of all weights; frames of several cameras, a sentence
of one and a chunk of another, share that reading. Attention keeps the streams apart, so each gives
what it would give alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vlo_ros.attention import Segment
from vlo_ros.decoder import Plan
from vlo_ros.events import Outcome
from vlo_ros.language_model import LanguageModel
from vlo_ros.stream import Stream


class StreamBatch:
    """Drives several streams that share one model; belongs to the thread that decodes.

        batch = StreamBatch({'left': left, 'right': right})
        for name, outcome in batch.advance():
            ...

    Attributes:
        streams: Stream by name; replace between two calls of `advance` to add or remove some.
    """

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        """Drive `streams`, which keep their producers, settings and counters.

        Raises:
            ValueError: They do not share one model.
        """
        if len({id(stream.decoder.language) for stream in streams.values()}) > 1:
            raise ValueError('batch: all streams of a batch must share one model')
        self.streams = dict(streams)

    def advance(self, *, flush: bool = False) -> Iterator[tuple[str, Outcome]]:
        """Judge and answer what is due in any stream, yielding outcomes as they happen.

        In every round each stream that has something due contributes one forward's worth: a
        chunk of frames, a prompt, or one token of its sentence. What arrives meanwhile in a
        stream that had run dry joins the next round.

        Args:
            flush: Also answer queries behind which no frame waits.
        """
        rounds = _Rounds()
        try:
            while True:
                for name, stream in self.streams.items():
                    if name not in rounds.plans:
                        rounds.plans[name] = stream.plan(flush=flush)
                        yield from rounds.resume(name)
                if not rounds.segments:
                    return
                language = next(iter(self.streams.values())).decoder.language
                for name in rounds.forward(language):
                    yield from rounds.resume(name)
        finally:
            rounds.close()


class _Rounds:
    """Plans under way, and what each of them stands at.

    Attributes:
        plans: Plan by stream.
        segments: The forward that a plan waits for.
    """

    def __init__(self) -> None:
        self.plans: dict[str, Plan[None]] = {}
        self.segments: dict[str, Segment] = {}
        self._items: dict[str, Segment | Outcome] = {}

    def forward(self, language: LanguageModel) -> list[str]:
        """Feed all that waits at once; return whose plans go on from there."""
        waiting, self.segments = self.segments, {}
        logits = language.forward(list(waiting.values()))
        for name, logits_RK in zip(waiting, logits, strict=True):
            try:
                self._items[name] = self.plans[name].send(logits_RK)
            except StopIteration:
                del self.plans[name]
        return list(self._items)

    def resume(self, name: str) -> Iterator[tuple[str, Outcome]]:
        """Yield a plan's outcomes up to its next forward, or its end."""
        plan = self.plans[name]
        item = self._items.pop(name, None) or next(plan, None)
        while item is not None:
            if isinstance(item, Segment):
                self.segments[name] = item
                return
            yield name, item
            item = next(plan, None)
        del self.plans[name]

    def close(self) -> None:
        """Stop every plan where it stands; what was taken but not judged goes back."""
        for plan in self.plans.values():
            plan.close()
