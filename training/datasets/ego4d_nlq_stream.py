# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D natural-language queries as a stream: say when what was asked for starts and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.datasets.annotations import Entry, read_json
from training.datasets.layout import Video, ego4d_annotation, ego4d_videos
from training.datasets.sample import BuildOptions, Message, Sample, assistant, stream
from training.datasets.temporal_iou import merge_overlapping, temporal_iou

TEMPLATES = (
    'Locate video clips related to the query "QUERY".',
    'Remind me when the query "QUERY".',
    'When query "QUERY" starts and ends, remind me.',
    'Do temporal grounding to query "QUERY".',
    'Can you locate query "QUERY" in the video?',
    'Record when query "QUERY".',
    'Please find the period of query "QUERY".',
    'Retrieve query "QUERY".',
    'Identify the start and end times of query "QUERY" in the video.',
    'Show me the video segment where query "QUERY" takes place.',
)


@dataclass
class _Question:
    """One query about one clip; times in s."""

    uid: str
    start: float
    end: float
    query: str
    clip: Entry
    regions: list[tuple[float, float]] = field(default_factory=list)


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each query about each clip."""
    videos = ego4d_videos(options)
    samples = []
    for question in _read_questions(options):
        video = videos.find(question.uid, question.clip)
        sample = _sample(options, question, video) if video is not None else None
        if sample is not None:
            samples.append(sample)
    videos.report(f'NLQ stream {options.split}')
    return samples


def _annotation_file(options: BuildOptions) -> Path:
    file = ego4d_annotation(options, f'nlq_{options.split}.json')
    if options.split == 'test' and not options.official and not file.is_file():
        # Corrected: Ego4D publishes its test queries under this name; officially nlq_test.json.
        return ego4d_annotation(options, 'nlq_test_unannotated.json')
    return file


def _read_questions(options: BuildOptions) -> list[_Question]:
    questions: dict[tuple[str, float, float, str], _Question] = {}
    for video in read_json(_annotation_file(options))['videos']:
        if video['split'].text() != options.split:
            raise video['split'].error(f'must be {options.split!r}')
        uid = video['video_uid'].text()
        for clip in video['clips']:
            start, end = clip['video_start_sec'].number(), clip['video_end_sec'].number()
            for annotation in clip['annotations']:
                for entry in annotation['language_queries']:
                    query = _query_text(entry, options.official)
                    if query is None:
                        continue
                    question = questions.setdefault(
                        (uid, start, end, query), _Question(uid, start, end, query, clip)
                    )
                    _add_region(question, entry, options)
    for question in questions.values():
        if options.official:
            question.regions.sort(key=lambda region: region[0])
        else:
            question.regions = merge_overlapping(question.regions)
    return list(questions.values())


def _query_text(entry: Entry, official: bool) -> str | None:
    for key in ('query', 'slot_x'):
        found = entry.find(key)
        if found is not None and (found.text() or (official and key == 'slot_x')):
            return found.text().lower()
    return None  # nothing is asked (officially an empty slot_x is a query, too)


def _add_region(question: _Question, entry: Entry, options: BuildOptions) -> None:
    if options.split == 'test' and entry.find('video_start_sec') is None and not options.official:
        return  # the published test queries have no answer
    region = (entry['video_start_sec'].number(), entry['video_end_sec'].number())
    # Corrected: regions that overlap are made one (in `_read_questions`); officially the merged
    # region is computed and forgotten, so that the first stays and the second is lost.
    if options.official and any(temporal_iou(r, region) > 0 for r in question.regions):
        return
    question.regions.append(region)


def _sample(options: BuildOptions, question: _Question, video: Video) -> Sample | None:
    """Return the sample of a query, or None where the video does not show what is asked for."""
    if question.start > video.duration or question.end > video.duration:
        return None
    clock = options.clock
    clip_end = clock.ceil(question.end, 0, clock.end(video.duration))
    clip_start = clock.ceil(question.start, 0, clip_end)
    if clip_end <= clip_start:
        if options.official:
            raise question.clip.error('is shorter than a frame')
        return None  # corrected: officially one such clip stops the whole data set
    last = clock.shift(clip_start, -1)
    conversation: list[Message] = []
    for region_start, region_end in question.regions:
        start = clock.ceil(region_start, clock.shift(last, 1), clip_end)
        end = clock.ceil(region_end, start, clip_end)
        if clock.between(last, start) <= 0 or clock.between(start, end) <= 0:
            # A region within one frame cannot be told as a start and an end. The sample ends
            # before it, for to go on would teach silence where the query is met.
            break
        conversation += [
            stream(clock.between(last, start)),
            assistant(f'The video related to the query "{question.query}" starts.'),
            stream(clock.between(start, end)),
            assistant(f'The video related to the query "{question.query}" ends.'),
        ]
        last = end
    if not conversation and options.split == 'test' and not question.regions:
        last = clip_end
        conversation.append(stream(clock.between(clock.shift(clip_start, -1), last), False))
    if not conversation:
        return None
    return Sample(
        conversation=tuple(conversation),
        load_ranges={video.features: (clock.index(clip_start), clock.index(last) + 1)},
        instructions=tuple(text.replace('QUERY', question.query) for text in TEMPLATES),
        labels={'query': question.query},
    )
