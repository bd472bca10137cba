# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One recording to one feature file, by the very code that a live stream runs."""

# Shapes: N frames, F tokens per frame, V vision dim, S tower resolution.
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch

from training.features import FeatureError
from training.preprocess.feature_file import SUFFIX, Header, find_file, read_header, write_features
from training.preprocess.jobs import Job, Settings
from vlo_ros.checkpoint import load_tower, resolve_device, resolve_dtype
from vlo_ros.errors import ConfigError, VloError, one_line
from vlo_ros.events import NS_PER_S, Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source
from vlo_ros.vision import VisionTower

# Part of a tick that a frame may come early, as the sampler has it.
GRACE = 0.25


@dataclass(frozen=True)
class Outcome:
    """How one recording went.

    Attributes:
        job: The recording.
        header: Of its feature file; None when there is none.
        damage: Why it was not read to its end, or not at all; empty when it was.
        was_done: Its feature file was there already.
    """

    job: Job
    header: Header | None
    damage: str = ''
    was_done: bool = False


def process(
    settings: Settings, job: Job, on_frames: Callable[[int], None] | None = None
) -> Outcome:
    """Encode one recording unless that is done already; runs in any process, on any machine.

    Raises:
        VloError: Nothing can be encoded at all: no tower, no memory, no room on the disk.
    """
    done = _done(settings, job)
    if done is not None:
        return done
    return _encoder(settings).encode(job, on_frames)


def _done(settings: Settings, job: Job) -> Outcome | None:
    path = find_file(settings.output, job.uid)
    if path is None:
        return None
    try:
        header = read_header(path)
    except FeatureError:
        return None  # made again
    for name in ('tower', 'fps', 'gaps'):
        wanted, found = getattr(settings, name), getattr(header, name)
        if header.tower and found != wanted:
            raise ConfigError(
                f'{path}: made with {name} {found}, this run has {wanted}; name another output '
                'folder, or remove it'
            )
    return Outcome(job, header, header.damage, was_done=True)


@functools.lru_cache(maxsize=1)
def _encoder(settings: Settings) -> Encoder:
    """The process's own encoder: the tower is loaded once."""
    return Encoder(settings)


class Encoder:
    """A vision tower that turns recordings into feature files."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        device, dtype = resolve_device(settings.model), resolve_dtype(settings.model)
        self.tower = load_tower(settings.model, device, dtype)

    def encode(self, job: Job, on_frames: Callable[[int], None] | None = None) -> Outcome:
        """Encode a recording as far as it can be read."""
        stamps: list[int] = []
        beginnings: list[int] = []
        parts: list[torch.Tensor] = []
        damage = ''
        for batch in self._batches(job):
            damage = batch.damage
            if not batch.pixels:
                continue
            features_NFV = self._encode(torch.cat(batch.pixels))
            parts.append(features_NFV)
            for stamp_ns, index in batch.frames:
                if index == 0:
                    beginnings.append(len(stamps))
                stamps.append(stamp_ns)
            if on_frames is not None:
                on_frames(len(batch.frames))
        if not stamps:
            return Outcome(job, None, damage or 'no frames in it')
        header = self._write(job, torch.cat(parts), torch.tensor(stamps), beginnings, damage)
        return Outcome(job, header, damage)

    def _encode(self, pixels_NCSS: torch.Tensor) -> torch.Tensor:
        try:
            return self.tower.encode(pixels_NCSS).to('cpu', torch.bfloat16)
        except torch.OutOfMemoryError as error:
            raise VloError(
                f'out of memory with {len(pixels_NCSS)} frames at once; a smaller --batch needs '
                'less'
            ) from error

    def _write(
        self,
        job: Job,
        features_NFV: torch.Tensor,
        stamps_ns: torch.Tensor,
        beginnings: list[int],
        damage: str,
    ) -> Header:
        """Write each stream of the recording; return the header of the first."""
        settings = self.settings
        ends = [*beginnings[1:], len(stamps_ns)]
        # The first stream's file is what marks the recording as done, so it comes last.
        for number in reversed(range(len(beginnings))):
            rows = slice(beginnings[number], ends[number])
            part_NFV, part_ns = features_NFV[rows], stamps_ns[rows]
            ticks = ticks_of(part_ns, settings.fps)
            hole_s = (int(ticks[-1]) + 1 - len(ticks)) / settings.fps
            if settings.gaps == 'fill' and hole_s:
                rows_filled = fill_rows(ticks)
                part_NFV, part_ns = part_NFV[rows_filled], part_ns[rows_filled]
            header = Header(
                num_frames=len(part_NFV),
                source=job.source,
                fps=settings.fps,
                tower=settings.tower,
                gaps=settings.gaps,
                damage=damage,
                hole_s=hole_s,
                num_parts=len(beginnings),
            )
            write_features(
                settings.output / f'{part_uid(job.uid, number)}{SUFFIX}', part_NFV, part_ns, header
            )
        return header

    def _batches(self, job: Job) -> Iterator[_Batch]:
        """Read batches; the next one is decoded while the caller encodes."""
        try:
            recording = open_source(job.source, job.topic)
        except VloError as error:
            yield _Batch(damage=str(error))
            return
        frames = iter(recording.frames(Sampler(self.settings.fps)))
        with ThreadPoolExecutor(1, 'preprocess-reader') as reader:
            coming = reader.submit(_read, frames, self.tower, self.settings.batch_size)
            while True:
                batch = coming.result()
                is_last = bool(batch.damage) or len(batch.frames) < self.settings.batch_size
                if not is_last:
                    coming = reader.submit(_read, frames, self.tower, self.settings.batch_size)
                yield batch
                if is_last:
                    return


@dataclass
class _Batch:
    """Frames read together, and what stopped the reading."""

    frames: list[tuple[int, int]] = field(default_factory=list)  # stamp_ns, index
    pixels: list[torch.Tensor] = field(default_factory=list)  # uint8 (1, 3, S, S) each
    damage: str = ''


def _read(frames: Iterator[Frame], tower: VisionTower, size: int) -> _Batch:
    batch = _Batch()
    while len(batch.frames) < size:
        try:
            frame = next(frames, None)
        except VloError as error:
            batch.damage = one_line(error)
            break
        if frame is None:
            break
        batch.pixels.append(tower.load_pixels([frame.image_HWC]))
        batch.frames.append((frame.stamp_ns, frame.index))
    return batch


def ticks_of(stamps_ns: torch.Tensor, fps: float) -> torch.Tensor:
    """Ticks of 1 / fps that sampled frames stand for, counted from the first: int64 (N,)."""
    since_s = (stamps_ns - stamps_ns[0]).double() / NS_PER_S
    ticks = (since_s * fps + GRACE).floor().long()
    # A late frame is not the next tick's when that has a frame of its own.
    places = torch.arange(len(ticks))
    return (ticks - places).flip(0).cummin(0).values.flip(0) + places


def fill_rows(ticks: torch.Tensor) -> torch.Tensor:
    """For every tick the row of the newest frame at or before it: int64 (ticks,)."""
    every = torch.arange(int(ticks[-1]) + 1)
    return torch.searchsorted(ticks, every, right=True) - 1


def part_uid(uid: str, number: int) -> str:
    """Name of the streams of a recording whose stamps went back."""
    return uid if number == 0 else f'{uid}.{number + 1}'
