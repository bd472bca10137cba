# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording in, every decision and response out: the same from run to run, at full speed.

    reader thread:  frames -> letterboxed pixels      one batch ahead
    caller:         encode the batch -> Stream.advance -> events

The batches, and with them every result, depend on the recording alone and not on timing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.errors import SourceError, VloError
from vlo_ros.events import (
    NS_PER_S,
    Decision,
    Frame,
    FrameTokens,
    Outcome,
    Partial,
    Query,
    Response,
    seconds,
)
from vlo_ros.stream import Stream

FRAMES_PER_BATCH = 32
MAX_QUERIES = 10_000

ReplayEvent: TypeAlias = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass
class _Batch:
    """Frames read together, and what stopped the reading."""

    frames: list[tuple[int, int]] = field(default_factory=list)  # stamp_ns, index
    pixels: list[torch.Tensor] = field(default_factory=list)  # uint8 (1, 3, S, S) each
    error: VloError | None = None


def replay(
    frames: Iterable[Frame], queries: Sequence[Query], model: VloModel, config: StreamConfig
) -> Iterator[ReplayEvent]:
    """Judge every frame, answer every query.

    Args:
        frames: Wanted frames in order. An index of 0 behind others means that time went back; the
            stream then starts anew.
        queries: Their stamps count from the first frame. Those behind the last frame are answered
            at the end (protocol 'official': never, as in the published loop).
        model: The weights.
        config: Settings of the stream.

    Yields:
        What one line of the output says; times are seconds from the first frame.

    Raises:
        SourceError: A query is refused; or the recording cannot be read any further, raised when
            all before it has been yielded.
    """
    if len(queries) > MAX_QUERIES:
        raise SourceError(f'{len(queries)} queries, at most {MAX_QUERIES} are accepted')
    stream = Stream(
        model,
        dataclasses.replace(
            config,
            backlog_frames=max(config.backlog_frames, FRAMES_PER_BATCH),
            backlog_queries=max(config.backlog_queries, len(queries)),
        ),
    )
    in_order = list(queries)
    if config.protocol != 'official':
        in_order.sort(key=lambda query: query.stamp_ns)
    start_ns: int | None = None
    for batch in _read_ahead(iter(frames), model):
        for frame in _encode(batch, model):
            if start_ns is None:
                start_ns = frame.stamp_ns
                _ask(stream, in_order, start_ns)
            elif frame.index == 0:
                yield from _lines(stream.advance(), start_ns)
                at_s = seconds(frame.stamp_ns - start_ns)
                logger.warning('stamps went back to %.1f s: the stream starts anew', at_s)
                waiting = in_order[len(in_order) - stream.backlog_queries :]
                stream.reset()
                _ask(stream, waiting, start_ns)
            stream.put_frame(frame)
        if start_ns is not None:
            yield from _lines(stream.advance(), start_ns)
        if batch.error is not None:
            raise batch.error
    if start_ns is None:
        raise SourceError('the recording has no frames')
    if config.protocol != 'official':
        yield from _lines(stream.advance(flush=True), start_ns)
    if stream.backlog_queries:
        logger.warning(
            '%d queries come after the last frame; protocol official never answers them',
            stream.backlog_queries,
        )


def first_seconds(frames: Iterable[Frame], duration_s: float) -> Iterator[Frame]:
    """Yield the frames of the first `duration_s` seconds."""
    start_ns: int | None = None
    for frame in frames:
        start_ns = frame.stamp_ns if start_ns is None else start_ns
        if seconds(frame.stamp_ns - start_ns) > duration_s:
            return
        yield frame


def read_queries(path: Path) -> list[Query]:
    """Read queries, one JSON object a line: `{"time": seconds, "text": "..."}`.

    Raises:
        SourceError: The file cannot be read, or a line is not such an object.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise SourceError(f'queries {path}: {reason}') from error
    return [
        _read_query(line, f'{path} line {number}')
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _read_query(line: str, where: str) -> Query:
    """Read one line; the query's id tells later errors where it came from."""
    accepted = 'expected {"time": seconds, "text": "..."}'
    try:
        content = json.loads(line)
    except ValueError as error:
        raise SourceError(f'{where}: not JSON, {accepted}') from error
    if not isinstance(content, dict) or set(content) != {'time', 'text'}:
        raise SourceError(f'{where}: {accepted}')
    time, text = content['time'], content['text']
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise SourceError(f'{where}: time {time!r} is not a number of seconds')
    if not isinstance(text, str) or not text.strip():
        raise SourceError(f'{where}: text {text!r} is not something to ask')
    return Query(round(time * NS_PER_S), text, where)


def _ask(stream: Stream, queries: Sequence[Query], start_ns: int) -> None:
    for query in queries:
        stamped = dataclasses.replace(query, stamp_ns=start_ns + query.stamp_ns)
        refusal = stream.put_query(stamped)
        if refusal is not None:
            where = query.query_id or f'query at {seconds(query.stamp_ns)} s'
            raise SourceError(f'{where}: {refusal}')


def _read_ahead(frames: Iterator[Frame], model: VloModel) -> Iterator[_Batch]:
    """Yield batches while the next one is being read."""
    with ThreadPoolExecutor(1, 'replay-reader') as reader:
        coming = reader.submit(_read_batch, frames, model)
        while True:
            batch = coming.result()
            is_last = batch.error is not None or len(batch.frames) < FRAMES_PER_BATCH
            if not is_last:
                coming = reader.submit(_read_batch, frames, model)
            yield batch
            if is_last:
                return


def _read_batch(frames: Iterator[Frame], model: VloModel) -> _Batch:
    batch = _Batch()
    while len(batch.frames) < FRAMES_PER_BATCH:
        try:
            frame = next(frames, None)
        except VloError as error:
            batch.error = error
            break
        if frame is None:
            break
        # Letterboxed at once: raw images may be large.
        batch.pixels.append(model.tower.load_pixels([frame.image_HWC]))
        batch.frames.append((frame.stamp_ns, frame.index))
    return batch


def _encode(batch: _Batch, model: VloModel) -> list[FrameTokens]:
    if not batch.frames:
        return []
    tokens_NFD = model.encode_pixels(torch.cat(batch.pixels))
    return [
        FrameTokens(stamp_ns, index, tokens_FD)
        for (stamp_ns, index), tokens_FD in zip(batch.frames, tokens_NFD, strict=True)
    ]


def _lines(outcomes: Iterable[Outcome], start_ns: int) -> Iterator[ReplayEvent]:
    """Turn outcomes into output lines."""
    for outcome in outcomes:
        if isinstance(outcome, Partial):
            continue
        time = seconds(outcome.stamp_ns - start_ns)
        if isinstance(outcome, Decision):
            yield {
                'kind': 'frame',
                'index': outcome.index,
                'time': time,
                'p_silence': outcome.p_silence,
                'decision': outcome.verdict.value,
            }
        else:
            assert isinstance(outcome, Response)
            yield {
                'kind': 'response',
                'trigger': outcome.trigger.value,
                'time': time,
                'query': None if outcome.query is None else outcome.query.text,
                'text': outcome.text,
                'token_ids': list(outcome.token_ids),
                'finish': outcome.finish.value,
            }
