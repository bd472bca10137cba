# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pool of labelled pictures in shared memory that renderer processes keep refreshing.

The trainer draws batches at its own pace; renderers rest while they are far enough ahead.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from dataclasses import dataclass, replace
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.rendered_world.labels import CELL_LABELS, GLOBAL_LABELS, label
from vlo_ros.rendered_world import Episode

EVENT_SHARE = 0.5  # share of the pictures taken within a second of a narration
# A live camera is larger than the tower: some worlds are drawn large and brought down as it is.
LARGE_SHARE = 0.35
LARGE_SIZES = (192, 256, 384)


@dataclass(slots=True)
class Batch:
    """Pictures (N, S, S, 3) uint8 and their labels, see `labels.Labels`."""

    pictures: NDArray[np.uint8]
    whole: NDArray[np.int16]
    pooled: NDArray[np.int16]
    patches: NDArray[np.int16]


def draw_size(size: int, rng: np.random.Generator) -> int:
    """At which size (pixels) an episode is drawn for a tower of `size`."""
    if rng.random() < LARGE_SHARE:
        return LARGE_SIZES[int(rng.integers(len(LARGE_SIZES)))]
    return size


def picture(episode: Episode, time: float, size: int, drawn_size: int) -> NDArray[np.uint8]:
    """A picture drawn at one size and shrunk to another, as a live camera's is."""
    large = episode.frame(time, drawn_size)
    if drawn_size == size:
        return large
    small: NDArray[np.uint8] = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    return small


def render_world(seed: int, split: str, count: int, size: int, grid: int, nameless: bool) -> Batch:
    """`count` labelled pictures of one episode, about half of them near events."""
    rng = np.random.default_rng((seed, 77))
    episode = Episode(seed, split, nameless)
    drawn_size = draw_size(size, rng)
    start = float(rng.uniform(0, 60))
    events = [event.tick / 10 for event in episode.events(start, start + 30)]
    times = []
    for _ in range(count):
        if events and rng.random() < EVENT_SHARE:
            times.append(events[int(rng.integers(len(events)))] + float(rng.uniform(-1.0, 1.0)))
        else:
            times.append(start + float(rng.uniform(0, 30)))
    times = [max(round(t, 2), 0.0) for t in times]
    labels = [label(episode, t, grid) for t in times]
    return Batch(
        np.stack([picture(episode, t, size, drawn_size) for t in times]),
        np.stack([one.whole for one in labels]),
        np.stack([one.pooled for one in labels]),
        np.stack([one.patches for one in labels]),
    )


def render_fixed(split: str, first_seed: int, worlds: int, size: int, grid: int) -> Batch:
    """The same labelled pictures every time: 12 from each of some worlds, to measure with."""
    parts = [render_world(first_seed + i, split, 12, size, grid, False) for i in range(worlds)]
    return Batch(
        np.concatenate([p.pictures for p in parts]), np.concatenate([p.whole for p in parts]),
        np.concatenate([p.pooled for p in parts]), np.concatenate([p.patches for p in parts]),
    )  # fmt: skip


@dataclass(frozen=True)
class PoolSettings:
    """What renderers need to know.

    capacity: Pictures held; a multiple of per_world.
    size: Picture size in pixels.
    grid: Patches per side of the tower.
    per_world: Pictures taken from each episode.
    first_seed: First training seed; later worlds count up from it.
    nameless_share: Share of the worlds whose things may have colours and shapes without a name.
    reuse: Renderers rest while a picture was drawn less than this often on average.
    """

    capacity: int
    size: int
    grid: int
    per_world: int
    first_seed: int
    nameless_share: float
    reuse: float

    @property
    def lead(self) -> int:
        """Pictures that renderers may be ahead."""
        return min(self.capacity // 2, 12_000)

    def arrays(self, memory: SharedMemory) -> Batch:
        """The pool's arrays, laid out one after the other in shared memory."""
        arrays, offset = {}, 0
        for name, (shape, dtype) in self._layout().items():
            arrays[name] = np.ndarray(shape, dtype, memory.buf, offset)
            offset += int(np.prod(shape)) * np.dtype(dtype).itemsize
        return Batch(**arrays)

    @property
    def num_bytes(self) -> int:
        """Size of the shared memory."""
        return sum(
            int(np.prod(shape)) * np.dtype(dtype).itemsize
            for shape, dtype in self._layout().values()
        )

    def _layout(self) -> dict[str, tuple[tuple[int, ...], type]]:
        n, cells = self.capacity, len(CELL_LABELS)
        return {  # sizes are even but for the pictures', which come last
            'whole': ((n, len(GLOBAL_LABELS)), np.int16),
            'pooled': ((n, 9, cells), np.int16),
            'patches': ((n, self.grid * self.grid, cells), np.int16),
            'pictures': ((n, self.size, self.size, 3), np.uint8),
        }


@dataclass(frozen=True)
class Progress:
    """Counters that trainer and renderers share."""

    started: Any  # worlds handed to renderers
    done: Any  # worlds finished
    drawn: Any  # pictures drawn by the trainer
    stop: Any  # event


def _render(settings: PoolSettings, memory_name: str, progress: Progress) -> None:
    """What a renderer process does until it is stopped or its parent is gone."""
    memory = SharedMemory(memory_name)
    pool = settings.arrays(memory)
    parent, count = os.getppid(), settings.per_world
    while not progress.stop.is_set() and os.getppid() == parent:
        ahead = progress.done.value * count - settings.lead
        if ahead > progress.drawn.value / settings.reuse:
            time.sleep(0.02)
            continue
        with progress.started.get_lock():
            index = int(progress.started.value)
            progress.started.value = index + 1
        seed = settings.first_seed + index
        nameless = (seed * 7919 % 1000) / 1000 < settings.nameless_share
        batch = render_world(seed, 'train', count, settings.size, settings.grid, nameless)
        row = index * count % settings.capacity
        rows = slice(row, row + count)
        pool.pictures[rows] = batch.pictures
        pool.whole[rows] = batch.whole
        pool.pooled[rows] = batch.pooled
        pool.patches[rows] = batch.patches
        # In order, so that the first `done` worlds are the finished ones.
        while progress.done.value < index and not progress.stop.is_set():
            time.sleep(0.001)
        with progress.done.get_lock():
            progress.done.value += 1
    del pool
    memory.close()


class FramePool:
    """The pool: `start()` launches renderers, `draw(n)` takes from what is there."""

    def __init__(self, settings: PoolSettings, renderers: int) -> None:
        capacity = settings.capacity // settings.per_world * settings.per_world
        self.settings = replace(settings, capacity=capacity)
        self._memory = SharedMemory(create=True, size=self.settings.num_bytes)
        self._all = self.settings.arrays(self._memory)
        # Renderers use no torch, so that forking is safe: they start at once.
        context = mp.get_context('fork')
        self._progress = Progress(
            context.Value('q', 0), context.Value('q', 0), context.Value('q', 0), context.Event()
        )
        arguments = (self.settings, self._memory.name, self._progress)
        self._processes = [
            context.Process(target=_render, args=arguments, daemon=True) for _ in range(renderers)
        ]

    @property
    def num_rendered(self) -> int:
        """Pictures rendered so far."""
        return int(self._progress.done.value) * self.settings.per_world

    def start(self) -> None:
        """Launch the renderers."""
        cv2.setNumThreads(1)  # threads of OpenCV do not survive a fork, and their pool hangs
        for process in self._processes:
            process.start()

    def wait(self, pictures: int) -> None:
        """Wait until that many pictures were rendered, or as many as are rendered ahead."""
        while self.num_rendered < min(pictures, self.settings.lead):
            if not any(process.is_alive() for process in self._processes):
                raise RuntimeError('frame pool: every renderer process has ended')
            time.sleep(0.05)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A random batch of what the pool holds now."""
        self._progress.drawn.value += count
        unfinished = (len(self._processes) - 1) * self.settings.per_world
        held = min(self.num_rendered - unfinished, self.settings.capacity)
        rows = np.sort(rng.integers(0, max(held, self.settings.per_world), count))
        pool = self._all
        return Batch(pool.pictures[rows], pool.whole[rows], pool.pooled[rows], pool.patches[rows])

    def close(self) -> None:
        """Stop the renderers and give the memory back."""
        self._progress.stop.set()
        for process in self._processes:
            if process.pid is not None:
                process.join(10)
            if process.is_alive():
                process.terminate()
        del self._all
        self._memory.close()
        self._memory.unlink()
