# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the five COIN data sets share: annotations, categories, questions and accuracy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from training.datasets.annotations import Entry, read_json
from training.datasets.edit_distance import nearest
from training.datasets.layout import COIN, Video, Videos, coin_videos
from training.datasets.sample import BuildOptions, Sample, assistant, stream, user

MAX_NEXT_STEPS = 5
NEXT_QUESTION = 'what is the next action for the video?'
CONCISELY = 'Format your answer concisely. No extra text output.'
AS_LIST = (
    'Format your answer concisely, listing each action on a new line with a number prefix. '
    'No extra text output.'
)
REWORDED_STEPS = {
    'process (crop, fold) paper': 'crop and fold paper',
    'try to press gun head, spray residual old grease': (
        'try to press gun head to spray residual old grease'
    ),
}
# Acronyms that were spelled when a class name was split at its capitals, in the order undone.
SPELLED_ACRONYMS = (
    (' t v', ' TV'),
    (' c d', ' CD'),
    ('s i m', 'SIM'),
    ('n b a', 'NBA'),
    ('s s d', 'SSD'),
    ('r j45', 'RJ45'),
)


@dataclass(frozen=True)
class Segment:
    """A named stretch of a video; times in s."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class CoinVideo:
    """One annotated video: what is done, and the steps of it in order."""

    video: Video
    task: Segment
    steps: tuple[Segment, ...]


@dataclass(frozen=True)
class CoinAnnotations:
    """The videos of a split, and the names that an answer is matched with."""

    videos: tuple[CoinVideo, ...]
    task_categories: tuple[str, ...]
    step_categories: tuple[str, ...]


def read_coin(options: BuildOptions) -> CoinAnnotations:
    """Return the videos of a split that have features, and the categories."""
    known = coin_videos(options)
    of_split, everything = [], []
    for uid, entry in read_json(options.root / COIN / 'coin.json')['database'].items():
        task, steps = _read_video(entry, options.official)
        if options.split in entry['subset'].text().lower():
            video = _find(known, uid)
            if video is not None:
                of_split.append(CoinVideo(video, task, steps))
        everything.append((task, steps))
    known.report(f'COIN {options.split}')
    # Corrected: an answer is matched with every category of the data set; officially with those
    # that happen to occur in the videos of the split.
    named = [(v.task, v.steps) for v in of_split] if options.official else everything
    return CoinAnnotations(
        videos=tuple(of_split),
        task_categories=_categories(task for task, _ in named),
        step_categories=_categories(step for _, steps in named for step in steps),
    )


def _find(known: Videos, uid: str) -> Video | None:
    video = known.known.get(uid)
    if video is None:  # left out officially, too
        known.missing.add(uid)
    return video


def _read_video(entry: Entry, official: bool) -> tuple[Segment, tuple[Segment, ...]]:
    name = task_words(entry['class'].text())
    task = Segment(name, *_stretch(entry['start'], entry['end'], official))
    steps = []
    for step in entry['annotation']:
        segment = list(step['segment'])
        if len(segment) != 2:
            raise step['segment'].error('must be [start, end] in s')
        label = step['label'].text()
        steps.append(
            Segment(REWORDED_STEPS.get(label, label), *_stretch(segment[0], segment[1], official))
        )
    return task, tuple(steps)


def _stretch(start: Entry, end: Entry, official: bool) -> tuple[float, float]:
    stretch = (start.number(), end.number())
    if stretch[1] < stretch[0] and not official:  # officially a stream of negative length
        raise end.error(f'is before the start: {stretch[1]} < {stretch[0]}')
    return stretch


def _categories(segments: Iterable[Segment]) -> tuple[str, ...]:
    return tuple(sorted({segment.text.lower() for segment in segments}))


def task_words(class_name: str) -> str:
    """Return the words of a class name: `ReplaceCDDriveWithSSD`, `replace CD drive with SSD`."""
    text = ''.join(f' {char.lower()}' if char.isupper() else char for char in class_name)
    for spelled, acronym in SPELLED_ACRONYMS:
        text = text.replace(spelled, acronym)
    return text.strip()


def question_sample(
    options: BuildOptions, video: Video, shown: Segment, question: str, answer: str, labels: object
) -> Sample:
    """Return a question about a stretch of video, the stretch, and the answer.

    Args:
        options: how to build.
        video: where the stretch is.
        shown: the stretch.
        question: user text before the frames.
        answer: assistant text after them.
        labels: what the accuracy compares with.
    """
    clock = options.clock
    end = clock.end(video.duration)
    first = clock.index(clock.ceil(shown.start, 0, end))
    stop = clock.index(clock.ceil(shown.end, 0, end)) + 1
    return Sample(
        conversation=(user(question), stream(stop - first), assistant(answer)),
        load_ranges={video.features: (first, stop)},
        generation_prompt=options.split == 'test',
        labels={'labels': labels},
    )


def next_steps(video: CoinVideo) -> Iterator[tuple[Segment, tuple[Segment, ...]]]:
    """Yield each step but the last with the steps that follow it, five at most."""
    for position in range(len(video.steps) - 1):
        yield (
            video.steps[position],
            video.steps[position + 1 : position + 1 + MAX_NEXT_STEPS],
        )


def next_steps_question(num_steps: int, task: str | None = None) -> str:
    """Return the question for the next steps, told the task or not."""
    if num_steps == 1:
        question = f'{NEXT_QUESTION} {CONCISELY}'
    else:
        question = f'what is the next {num_steps} actions for the video? {AS_LIST}'
    return f'To {task}, {question}' if task else question[0].upper() + question[1:]


def next_steps_answer(steps: Sequence[Segment]) -> str:
    """Return one sentence, or one numbered line for each of several steps."""
    if len(steps) == 1:
        return sentence(steps[0].text)
    return '\n'.join(
        f'{number}. {sentence(step.text)}' for number, step in enumerate(steps, start=1)
    )


def procedure_samples(options: BuildOptions, *, name_task: bool) -> list[Sample]:
    """Return one sample for each step that is followed by others."""
    return [
        question_sample(
            options,
            video.video,
            step,
            next_steps_question(len(following), video.task.text if name_task else None),
            next_steps_answer(following),
            [segment.text.lower() for segment in following],
        )
        for video in read_coin(options).videos
        for step, following in next_steps(video)
    ]


def sentence(text: str) -> str:
    """Return a label as the model says it; all but the first letter is lower-cased."""
    return f'{text.capitalize()}.'


def accuracy(
    predictions: Sequence[str], labels: Sequence[str], categories: Sequence[str]
) -> float:
    """Return the percentage of answers whose nearest category is the label.

    Args:
        predictions: what the model said.
        labels: lower-case label of each sample.
        categories: lower-case names that answers are matched with; ties go to the first by code
            point.
    """
    _check_lengths(predictions, labels)
    correct = sum(
        _matches(prediction.lower().rstrip('.'), label, categories)
        for prediction, label in zip(predictions, labels, strict=True)
    )
    return correct / len(labels) * 100


def procedure_accuracy(
    predictions: Sequence[str],
    labels: Sequence[Sequence[str]],
    categories: Sequence[str],
    *,
    official: bool = False,
) -> float:
    """Return the percentage of next steps that are named in their place.

    Corrected: a step that the answer does not name is wrong, and a line is compared without
    number, case and full stop. Officially a missing step is not counted at all, and lines keep
    case and full stop.

    Args:
        predictions: what the model said, one line for each step.
        labels: lower-case labels of the steps of each sample.
        categories: lower-case names that lines are matched with.
        official: as the official code counts.
    """
    _check_lengths(predictions, labels)
    correct = total = 0
    for prediction, steps in zip(predictions, labels, strict=True):
        lines = prediction.split('\n') if official else prediction.strip().split('\n')
        named = [_step_name(line, official) for line in lines]
        total += min(len(named), len(steps)) if official else len(steps)
        correct += sum(
            _matches(name, step, categories) for name, step in zip(named, steps, strict=False)
        )
    return correct / total * 100


def _check_lengths(predictions: Sequence[object], labels: Sequence[object]) -> None:
    if not labels or len(predictions) != len(labels):
        raise ValueError(
            f'accuracy needs as many predictions as labels and at least one, '
            f'not {len(predictions)} and {len(labels)}'
        )


def _step_name(line: str, official: bool) -> str:
    if official:
        return line.split('. ')[-1]
    return re.sub(r'^\s*\d+[.)]\s*', '', line).strip().lower().rstrip('.')


def _matches(name: str, label: str, categories: Sequence[str]) -> bool:
    return name == label or nearest(name, categories) == label
