# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream said against what was true: matching in time, content, silence. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

WINDOWS_S = (0.5, 1.0)


@dataclass(frozen=True)
class Said:
    """A sentence and its moment.

    Attributes:
        time: Seconds from the first frame.
        text: The sentence.
    """

    time: float
    text: str


@dataclass(frozen=True)
class Judged:
    """One judged frame."""

    time: float
    p_silence: float
    silent: bool


@dataclass(frozen=True)
class Answer:
    """A question that was asked, with the true answer and the one given."""

    time: float
    question: str
    truth: str
    given: str


@dataclass(frozen=True)
class Heard:
    """Everything of one stream.

    Attributes:
        truth: What should be said, in order.
        said: What was said of its own accord, in order, at the deciding frame.
        heard: The same, at the moment the sentence was complete; empty where not measured.
        judged: The judged frames.
        answers: Questions and answers.
        duration: Seconds.
    """

    truth: tuple[Said, ...]
    said: tuple[Said, ...]
    judged: tuple[Judged, ...]
    answers: tuple[Answer, ...]
    duration: float
    heard: tuple[Said, ...] = ()


def match(truth: Sequence[Said], said: Sequence[Said], window: float) -> list[tuple[Said, Said]]:
    """Pair sentences at most `window` seconds apart, each once and in order.

    As many pairs as there can be; among those ways the one with the least time between them.
    """
    # best[i][j]: pairs and negative distance of the best way to pair truth[i:] with said[j:].
    best = [[(0, 0.0)] * (len(said) + 1) for _ in range(len(truth) + 1)]
    for i in range(len(truth) - 1, -1, -1):
        for j in range(len(said) - 1, -1, -1):
            options = [best[i + 1][j], best[i][j + 1]]
            distance = abs(truth[i].time - said[j].time)
            if distance <= window + 1e-6:
                pairs, closeness = best[i + 1][j + 1]
                options.append((pairs + 1, closeness - distance))
            best[i][j] = max(options)
    found = []
    i = j = 0
    while best[i][j][0]:
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            found.append((truth[i], said[j]))
            i, j = i + 1, j + 1
    return found


def word_f1(truth: str, said: str) -> float:
    """Overlap of two sentences' words."""
    wanted, given = Counter(_words(truth)), Counter(_words(said))
    shared = sum((wanted & given).values())
    return 2 * shared / max(1, wanted.total() + given.total())


def score(streams: Sequence[Heard], *, wall_clock: bool = False) -> dict[str, float]:
    """All scores over streams taken together; rates are 0 to 1, times in seconds.

    `exact` is among matched sentences, `exact_of_all` among true ones. `silence_kept` counts
    frames with nothing due within 1 s, `silence_kept_strict` all at which nothing is due.
    """
    found: dict[str, float] = {}
    num_true = sum(len(stream.truth) for stream in streams)
    num_said = sum(len(stream.said) for stream in streams)
    pairs: list[tuple[Said, Said]] = []
    for window in WINDOWS_S:
        pairs = [
            pair
            for stream in streams
            for pair in match(stream.truth, stream.heard if wall_clock else stream.said, window)
        ]
        name = f'{window:g}s'.replace('.', '_')
        precision, recall = _share(len(pairs), num_said), _share(len(pairs), num_true)
        found[f'speak_precision_{name}'] = precision
        found[f'speak_recall_{name}'] = recall
        found[f'speak_f1_{name}'] = 2 * precision * recall / max(precision + recall, 1e-9)
    exact = sum(_same(wanted.text, given.text) for wanted, given in pairs)
    found['exact'] = _share(exact, len(pairs))
    found['exact_of_all'] = _share(exact, num_true)
    found['word_f1'] = _mean([word_f1(wanted.text, given.text) for wanted, given in pairs])
    found['time_error_s'] = _mean([abs(given.time - wanted.time) for wanted, given in pairs])
    found['silence_kept'] = _silence_kept(streams, 1.0)
    found['silence_kept_strict'] = _silence_kept(streams, 0.0)
    answers = [answer for stream in streams for answer in stream.answers]
    right = sum(_same(answer.truth, answer.given) for answer in answers)
    found['queries_right'] = _share(right, len(answers))
    found['num_narrations'] = num_true
    found['num_said'] = num_said
    found['num_queries'] = len(answers)
    found['num_frames'] = sum(len(stream.judged) for stream in streams)
    return found


def transcript(streams: Sequence[Heard], window: float = 1.0) -> list[dict[str, Any]]:
    """What should have been said beside what was said, in order of time.

    Returns:
        A line for each true sentence and each sentence without one: `scene`, `time`, `truth` and
        `said` (None where there is none), `exact`.
    """
    lines = []
    for number, stream in enumerate(streams):
        pairs = match(stream.truth, stream.said, window)
        said_for = {id(wanted): given for wanted, given in pairs}
        matched = {id(given) for _, given in pairs}
        for wanted in stream.truth:
            given = said_for.get(id(wanted))
            said = given.text if given else None
            lines.append((number, wanted.time, wanted.text, said))
        lines += [
            (number, one.time, None, one.text) for one in stream.said if id(one) not in matched
        ]
    return [
        {
            'scene': scene, 'time': time, 'truth': truth, 'said': said,
            'exact': truth is not None and said is not None and _same(truth, said),
        }
        for scene, time, truth, said in sorted(lines, key=lambda line: line[:2])
    ]  # fmt: skip


def between(stream: Heard, start: float, end: float) -> Heard:
    """The part of a stream with start <= time < end."""

    def part(items: Sequence[Said]) -> tuple[Said, ...]:
        return tuple(item for item in items if start <= item.time < end)

    return Heard(
        truth=part(stream.truth),
        said=part(stream.said),
        judged=tuple(item for item in stream.judged if start <= item.time < end),
        answers=tuple(item for item in stream.answers if start <= item.time < end),
        duration=end - start,
        heard=part(stream.heard),
    )


def by_minute(streams: Sequence[Heard]) -> list[dict[str, float]]:
    """Scores of minute 1, minute 2, ..."""
    longest = max((stream.duration for stream in streams), default=0.0)
    minutes = range(max(1, round(longest / 60)))
    return [
        {
            'minute': minute + 1,
            **score([between(s, 60 * minute, 60 * minute + 60) for s in streams]),
        }
        for minute in minutes
    ]


def _silence_kept(streams: Sequence[Heard], margin: float) -> float:
    quiet = [
        frame.silent
        for stream in streams
        for frame in stream.judged
        if all(abs(frame.time - due.time) > margin + 1e-6 for due in stream.truth)
    ]
    return _share(sum(quiet), len(quiet))


def _same(truth: str, given: str) -> bool:
    return _words(truth) == _words(given)


def _words(text: str) -> list[str]:
    return text.lower().replace('.', ' ').split()


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
