"""A pool of labelled pictures in shared memory that renderer processes keep refreshing.

The trainer draws batches at its own pace; renderers rest while they are far enough ahead.
"""

from __future__ import annotations

import multiprocessing as mp
import multiprocessing.synchronize
import os
import time
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from training.rendered_world.labels import CELL_LABELS, GLOBAL_LABELS, label
from vlo_ros.rendered_world import Episode
from vlo_ros.vision import letterbox

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
    """A picture drawn at one size and brought to another as the live path does."""
    large = episode.frame(time, drawn_size)
    if drawn_size == size:
        return large
    return letterbox(large, size).permute(1, 2, 0).numpy()


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


class FramePool:
    """The pool: `start()` launches renderers, `draw(n)` takes from what is there.

    Args:
        capacity: Pictures held.
        size: Picture size in pixels.
        grid: Patches per side of the tower.
        per_world: Pictures taken from each episode.
        first_seed: First training seed; later worlds count up from it.
        nameless_share: Share of the worlds whose things may have colours without a name.
        renderers: Renderer processes.
        reuse: Renderers rest while a picture was drawn less than this often on average.
    """

    def __init__(
        self, capacity: int, size: int, grid: int, per_world: int, first_seed: int,
        nameless_share: float, renderers: int, reuse: float,
    ) -> None:  # fmt: skip
        self._lead, self._reuse = min(capacity // 2, 12_000), reuse
        self.capacity, self.size, self.grid = capacity // per_world * per_world, size, grid
        self._per_world, self._first_seed = per_world, first_seed
        self._nameless_share, self._renderers = nameless_share, renderers
        shapes = {
            'pictures': ((self.capacity, size, size, 3), np.uint8),
            'whole': ((self.capacity, len(GLOBAL_LABELS)), np.int16),
            'pooled': ((self.capacity, 9, len(CELL_LABELS)), np.int16),
            'patches': ((self.capacity, grid * grid, len(CELL_LABELS)), np.int16),
        }
        self._memory: list[SharedMemory] = []
        arrays = {}
        for name, (shape, dtype) in shapes.items():
            memory = SharedMemory(create=True, size=int(np.prod(shape)) * np.dtype(dtype).itemsize)
            self._memory.append(memory)
            arrays[name] = np.ndarray(shape, dtype, buffer=memory.buf)
        self._all = Batch(**arrays)
        context = mp.get_context('fork')
        self._worlds = context.Value('q', 0)  # worlds handed to renderers
        self._done = context.Value('q', 0)  # worlds finished
        self._drawn = context.Value('q', 0)  # pictures drawn by the trainer
        self._stop = context.Event()
        self._processes: list[mp.process.BaseProcess] = []

    @property
    def num_rendered(self) -> int:
        """Pictures rendered so far."""
        return int(self._done.value) * self._per_world

    def start(self) -> None:
        """Launch the renderers."""
        context = mp.get_context('fork')
        for _ in range(self._renderers):
            process = context.Process(target=self._render, daemon=True)
            process.start()
            self._processes.append(process)

    def _render(self) -> None:
        import cv2
        import torch

        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        parent = os.getppid()
        while not self._stop.is_set() and os.getppid() == parent:
            if self.num_rendered - self._lead > self._drawn.value / self._reuse:
                time.sleep(0.02)
                continue
            with self._worlds.get_lock():
                index = int(self._worlds.value)
                self._worlds.value = index + 1
            seed = self._first_seed + index
            nameless = (seed * 7919 % 1000) / 1000 < self._nameless_share
            batch = render_world(seed, 'train', self._per_world, self.size, self.grid, nameless)
            row = index * self._per_world % self.capacity
            rows = slice(row, row + self._per_world)
            self._all.pictures[rows] = batch.pictures
            self._all.whole[rows] = batch.whole
            self._all.pooled[rows] = batch.pooled
            self._all.patches[rows] = batch.patches
            with self._done.get_lock():
                self._done.value += 1

    def wait(self, pictures: int) -> None:
        """Wait until that many pictures were rendered."""
        while self.num_rendered < min(pictures, self.capacity):
            if not any(process.is_alive() for process in self._processes):
                raise RuntimeError('frame pool: every renderer process has ended')
            time.sleep(0.1)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A random batch of what the pool holds now."""
        self._drawn.value += count
        held = min(self.num_rendered - self._renderers * self._per_world, self.capacity)
        rows = np.sort(rng.integers(0, max(held, self._per_world), count))
        return Batch(
            self._all.pictures[rows],
            self._all.whole[rows],
            self._all.pooled[rows],
            self._all.patches[rows],
        )

    def close(self) -> None:
        """Stop the renderers and give the memory back."""
        self._stop.set()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.terminate()
        del self._all
        for memory in self._memory:
            memory.close()
            memory.unlink()
