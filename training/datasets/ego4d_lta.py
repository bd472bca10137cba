# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D long-term anticipation: after eight actions, name the twenty that follow."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.datasets.annotations import Entry, read_json
from training.datasets.edit_distance import nearest
from training.datasets.layout import Videos, ego4d_annotation, ego4d_videos
from training.datasets.sample import BuildOptions, Message, Sample, assistant, user

NUM_SEEN_ACTIONS = 8
NUM_FUTURE_ACTIONS = 20
# Words of the taxonomy whose first sense is also the name of another one.
UNAMBIGUOUS = {
    'pot_(planter)': 'flowerpot',
    'bat_(sports)': 'sport bat',
    'bat_(tool)': 'bat',
    'nut_(food)': 'nuts',
    'nut_(tool)': 'nut',
    'chip_(food)': 'snack',
    "chip_(wood'_metal),": 'chips',
    'chip_(wood,_metal)': 'chip',
}
# A number and a dot, at the start of a line or after one word: `1. Pick cup.`, `step 1. Pick cup.`
_NUMBERED = re.compile(r'(?:\S+\s)??\d+\.\s*(.*)')


@dataclass(frozen=True)
class _Action:
    """One annotated action; times of the video in s."""

    uid: str
    start: float
    end: float
    index: int
    entry: Entry


class Taxonomy:
    """The words of verbs and nouns, and the way back from text to their labels.

    Args:
        verbs: word of each verb label.
        nouns: word of each noun label.
        most_common: (verb label, noun label) that stands for an empty answer.
    """

    def __init__(
        self, verbs: Sequence[str], nouns: Sequence[str], most_common: tuple[int, int] = (0, 0)
    ) -> None:
        self.verbs = tuple(verbs)
        self.nouns = tuple(nouns)
        pairs = itertools.product(enumerate(verbs), enumerate(nouns))
        self._labels = {f'{verb} {noun}': (v, n) for (v, verb), (n, noun) in pairs}
        self._most_common = most_common
        self._nearest = functools.lru_cache(maxsize=65536)(
            functools.partial(nearest, choices=sorted(self._labels))
        )

    @property
    def most_common_action(self) -> str:
        """The action that stands for an empty answer."""
        verb, noun = self._most_common
        return f'{self.verbs[verb]} {self.nouns[noun]}'

    def text(self, labels: Sequence[tuple[int, int]]) -> str:
        """Return the numbered lines that name actions given as (verb label, noun label)."""
        return '\n'.join(
            f'{number}. {self.verbs[verb].capitalize()} {self.nouns[noun]}.'
            for number, (verb, noun) in enumerate(labels, start=1)
        )

    def labels(self, action: str) -> tuple[int, int]:
        """Return (verb label, noun label) of the action nearest to a text."""
        found = self._labels.get(action)
        return self._labels[self._nearest(action)] if found is None else found

    def parse(self, text: str, num_actions: int = NUM_FUTURE_ACTIONS) -> list[tuple[int, int]]:
        """Return exactly `num_actions` (verb label, noun label) of an answer.

        Lines without a number are passed over; a short answer repeats its last action, an empty
        one the most common action.
        """
        matches = (_NUMBERED.search(line) for line in text.strip(' \n').split('\n'))
        actions = [match[1].lower().rstrip('.') for match in matches if match]
        parsed = [self.labels(action) for action in actions[:num_actions]]
        filler = parsed[-1] if parsed else self.labels(self.most_common_action)
        return parsed + [filler] * (num_actions - len(parsed))


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each window of 8 seen and 20 future actions."""
    taxonomy = read_taxonomy(options)
    videos = ego4d_videos(options)
    samples = []
    for clip_uid, actions in _read_clips(options):
        for window in range(len(actions) - NUM_SEEN_ACTIONS - NUM_FUTURE_ACTIONS + 1):
            seen = actions[window : window + NUM_SEEN_ACTIONS]
            future = actions[window + NUM_SEEN_ACTIONS :][:NUM_FUTURE_ACTIONS]
            sample = _sample(options, taxonomy, videos, clip_uid, seen, future)
            if sample is not None:
                samples.append(sample)
    videos.report(f'LTA {options.split}')
    return samples


def read_taxonomy(options: BuildOptions) -> Taxonomy:
    """Return the taxonomy, with the action that is the most common in training."""
    file = read_json(ego4d_annotation(options, 'fho_lta_taxonomy.json'))
    verbs = [_word(entry.text()) for entry in file['verbs']]
    nouns = [_word(entry.text()) for entry in file['nouns']]
    if not verbs or not nouns:
        raise file['nouns' if verbs else 'verbs'].error('must not be empty')
    train = ego4d_annotation(options, 'fho_lta_train.json')
    if options.official or not train.is_file():
        # Officially every action is counted once, so the first of the product is "most common".
        return Taxonomy(verbs, nouns)
    # Corrected: counted in the training annotations; ties go to the lower labels.
    counts = Counter(
        (clip['verb_label'].index(len(verbs)), clip['noun_label'].index(len(nouns)))
        for clip in read_json(train)['clips']
    )
    most_common = min(counts, key=lambda labels: (-counts[labels], labels), default=(0, 0))
    return Taxonomy(verbs, nouns, most_common)


def _word(row: str) -> str:
    """Return the one word for a taxonomy row such as `cut_(trim,_slice,_chop)`."""
    if row in UNAMBIGUOUS:
        return UNAMBIGUOUS[row]
    first, parenthesis, _ = row.partition('(')
    word = first.replace('_', ' ')
    return word.removesuffix(' ') if parenthesis else word


def _read_clips(options: BuildOptions) -> Iterator[tuple[str, list[_Action]]]:
    """Yield clips with enough actions for a window, each in order of the actions."""
    part = 'test_unannotated' if options.split == 'test' else options.split
    clips: dict[str, list[_Action]] = {}
    for entry in read_json(ego4d_annotation(options, f'fho_lta_{part}.json'))['clips']:
        offset = entry['clip_parent_start_sec'].number()
        action = _Action(
            uid=entry['video_uid'].text(),
            start=offset + entry['action_clip_start_sec'].number(),
            end=offset + entry['action_clip_end_sec'].number(),
            index=int(entry['action_idx'].number()),
            entry=entry,
        )
        clips.setdefault(entry['clip_uid'].text(), []).append(action)
    for clip_uid, actions in clips.items():
        if len(actions) >= NUM_SEEN_ACTIONS + NUM_FUTURE_ACTIONS:
            yield clip_uid, sorted(actions, key=lambda action: action.index)


def _sample(
    options: BuildOptions,
    taxonomy: Taxonomy,
    videos: Videos,
    clip_uid: str,
    seen: Sequence[_Action],
    future: Sequence[_Action],
) -> Sample | None:
    video = videos.find(seen[0].uid, seen[0].entry)
    if video is None:
        return None
    clock = options.clock
    end = clock.end(video.duration)
    first = clock.index(clock.round(seen[0].start, 0, end))
    stop = clock.index(clock.round(seen[-1].end, 0, end)) + 1
    if stop <= first and not options.official:  # officially a stream of negative length
        raise (
            seen[-1].entry['action_clip_end_sec'].error('is before the first action of its window')
        )
    labels = None
    if options.split != 'test':
        labels = [
            (
                action.entry['verb_label'].index(len(taxonomy.verbs)),
                action.entry['noun_label'].index(len(taxonomy.nouns)),
            )
            for action in future
        ]
    conversation: list[Message] = [
        user(
            f'After {stop - first} video frames, anticipate the next {NUM_FUTURE_ACTIONS} actions.'
            ' Format your answer concisely, listing each action on a new line with a number'
            ' prefix. No extra text output.'
        ),
        {'role': 'stream', 'num_frames': stop - first},
    ]
    if options.split == 'train' and labels is not None:
        conversation[-1]['learn'] = True
        conversation.append(assistant(taxonomy.text(labels)))
    return Sample(
        conversation=tuple(conversation),
        load_ranges={video.features: (first, stop)},
        generation_prompt=options.split != 'train',
        labels={
            'verb_labels': None if labels is None else [verb for verb, _ in labels],
            'noun_labels': None if labels is None else [noun for _, noun in labels],
            'clip_uid': clip_uid,
            'last_visible_action_idx': seen[-1].index,
        },
    )
