# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording in, every decision and response out: the same from run to run, at full speed.

    reader thread:   frames -> letterboxed pixels        one batch ahead of the encoder
    encoder thread:  pixels -> frame tokens              one batch ahead of the caller
    caller:          Stream.advance -> events

On the CPU the caller encodes as well, with all cores instead of half of them (docs/replay.md).
The batches, and with them every result, depend on the recording alone and not on timing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.errors import SourceError
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
from vlo_ros.threads import use_threads

FRAMES_PER_BATCH = 32
MAX_QUERIES = 10_000

T = TypeVar('T')
ReplayEvent: TypeAlias = dict[str, Any]
Batches: TypeAlias = Generator[list[T], None, None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loaded:
    """A frame whose pixels are as the vision tower takes them."""

    stamp_ns: int
    index: int
    pixels_1CSS: torch.Tensor


def replay(
    frames: Iterable[Frame], queries: Sequence[Query], model: VloModel, config: StreamConfig
) -> Generator[ReplayEvent, None, None]:
    """Judge every frame, answer every query.

    Closed early it waits for the batches under way; no thread is left.

    Args:
        frames: Wanted frames in order. An index of 0 behind others means that time went back; the
            stream then starts anew.
        queries: Their stamps count from the first frame. Those behind the last frame are answered
            at the end (protocol 'official': never, as in the published loop).
        model: The weights. The calling thread computes with `model.threads` from then on, all of
            them; 0 leaves it those it has.
        config: Settings of the stream.

    Yields:
        What one line of the output says; times are seconds from the first frame.

    Raises:
        SourceError: A query is refused.
        Exception: What `frames` raised, when all before it has been yielded.
    """
    if len(queries) > MAX_QUERIES:
        raise SourceError(f'{len(queries)} queries, at most {MAX_QUERIES} are accepted')
    if model.config.threads:
        use_threads(model.config.threads)
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
    with contextlib.closing(_encoded(frames, model)) as batches:
        for batch in batches:
            for frame in batch:
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
            assert start_ns is not None
            yield from _lines(stream.advance(), start_ns)
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


def _encoded(frames: Iterable[Frame], model: VloModel) -> Batches[FrameTokens]:
    """Batches of encoded frames; the next ones are made while the caller judges this one."""
    encoded = _encode(_ahead(_load(frames, model), 'replay-reader'), model)
    return _ahead(encoded, 'replay-encoder') if _encodes_ahead(model) else encoded


def _encodes_ahead(model: VloModel) -> bool:
    return model.device.type == 'cuda'


def _load(frames: Iterable[Frame], model: VloModel) -> Batches[_Loaded]:
    """Batches of frames, each letterboxed at once: raw images may be large."""
    batch: list[_Loaded] = []
    failure: Exception | None = None
    try:
        for frame in frames:
            pixels_1CSS = model.tower.load_pixels([frame.image_HWC])
            batch.append(_Loaded(frame.stamp_ns, frame.index, pixels_1CSS))
            if len(batch) == FRAMES_PER_BATCH:
                yield batch
                batch = []
    except Exception as error:  # of any kind; it must not overtake the frames before it
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure


def _encode(batches: Batches[_Loaded], model: VloModel) -> Batches[FrameTokens]:
    with contextlib.closing(batches):
        for batch in batches:
            # On CUDA not behind what the language model has queued.
            with model.tower.own_stream():
                pixels_NCSS = torch.cat([frame.pixels_1CSS for frame in batch])
                tokens_NFD = model.encode_pixels(pixels_NCSS)
            yield [
                FrameTokens(frame.stamp_ns, frame.index, tokens_FD)
                for frame, tokens_FD in zip(batch, tokens_NFD, strict=True)
            ]


def _ahead(batches: Batches[T], thread: str) -> Batches[T]:
    """The same batches, each made on a thread of its own while the one before it is in use."""
    with ThreadPoolExecutor(1, thread) as maker:
        try:
            coming = maker.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = maker.submit(next, batches, None)
                yield batch
        finally:
            maker.submit(batches.close)  # behind the batch under way


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
