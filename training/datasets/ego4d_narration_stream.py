# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D narrations as a stream: after every frame silence, or what the annotator wrote there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.datasets.annotations import Entry, read_json
from training.datasets.layout import Video, ego4d_annotation, ego4d_videos
from training.datasets.sample import BuildOptions, Message, Sample, assistant, stream
from training.datasets.sentences import clean_narration
from training.datasets.splits import ego4d_split_uids

INSTRUCTIONS = (
    'Please concisely narrate the video in real time. '
    "Use the tag 'C' to denote the camera wearer, and other letter tags, such as 'X', "
    'to denote other individuals in the scene.',
)


@dataclass(frozen=True)
class Narration:
    """A sentence and when it was true, in s."""

    time: float
    text: str


@dataclass(frozen=True)
class NarrationTrack:
    """What one annotator wrote about one video."""

    uid: str
    annotator: str
    narrations: Sequence[Narration]
    entry: Entry


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each video and annotator."""
    cached = ego4d_annotation(options, f'narration_stream_{options.split}.json')
    if cached.is_file():
        return narration_samples(options, read_tracks(cached), INSTRUCTIONS)
    return narration_samples(options, clean_tracks(options), INSTRUCTIONS)


def clean_tracks(options: BuildOptions) -> Iterator[NarrationTrack]:
    """Yield the cleaned narrations of a split, each annotator's in order of time.

    Reads `all_narrations_redacted.json`; sentences of fewer than two words are left out.
    """
    narrated = read_json(ego4d_annotation(options, 'all_narrations_redacted.json'))['videos']
    videos = dict(narrated.items())
    for uid in ego4d_split_uids(options, videos, options.split):
        written = []
        for entry in videos[uid]['narrations']:
            text = clean_narration(entry['text'].text())
            if ' ' in text:
                annotator = entry['_annotation_uid'].text()
                written.append((annotator, Narration(entry['time'].number(), text)))
        annotators: dict[str, list[Narration]] = {}  # in order of their first narration in time
        for annotator, narration in sorted(written, key=lambda pair: pair[1].time):
            annotators.setdefault(annotator, []).append(narration)
        for annotator, track in annotators.items():
            yield NarrationTrack(uid, annotator, track, videos[uid])


def read_tracks(file: Path) -> Iterator[NarrationTrack]:
    """Yield the tracks of a file {uid: {annotator: [{time, text}]}}."""
    for uid, annotators in read_json(file).items():
        for annotator, entries in annotators.items():
            track = [Narration(e['time'].number(), e['text'].text()) for e in entries]
            yield NarrationTrack(uid, annotator, track, annotators)


def narration_samples(
    options: BuildOptions, tracks: Iterator[NarrationTrack], instructions: tuple[str, ...]
) -> list[Sample]:
    """Return one sample for each track that has narrations and a video with features."""
    videos = ego4d_videos(options)
    samples = []
    for track in tracks:
        video = videos.find(track.uid, track.entry)
        if video is not None and track.narrations:
            samples.append(narration_sample(options, track.narrations, video, instructions))
    videos.report(f'narration stream {options.split}')
    return samples


def narration_sample(
    options: BuildOptions,
    narrations: Sequence[Narration],
    video: Video,
    instructions: tuple[str, ...],
) -> Sample:
    """Return the stream from the first narrated frame to the last."""
    clock = options.clock
    end = clock.end(video.duration)
    if not options.official:
        # Corrected: officially a track out of order gives streams of negative length.
        narrations = sorted(narrations, key=lambda narration: narration.time)
    start = clock.ceil(narrations[0].time, 0, end)
    last, last_text = clock.shift(start, -1), None
    conversation: list[Message] = []
    for narration in narrations:
        if last >= end:  # the last frame has spoken; what is said of later times has no frame
            break
        if narration.text == last_text:
            continue
        position = clock.ceil(narration.time, 0, end)
        if position == last:  # two sentences for one frame: the later is nearer to it
            conversation[-1]['content'] = narration.text
        else:
            conversation += [stream(clock.between(last, position)), assistant(narration.text)]
        last, last_text = position, narration.text
    return Sample(
        conversation=tuple(conversation),
        load_ranges={video.features: (clock.index(start), clock.index(last) + 1)},
        instructions=instructions,
        instruction_index=1,
    )
