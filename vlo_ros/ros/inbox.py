"""Camera messages that are wanted, waiting for the encoder. Serialized: most are never read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from vlo_ros.sampling import Sampler, Sampling


@dataclass(frozen=True)
class WantedImage:
    """A camera message that becomes frame `index`."""

    stamp_ns: int
    index: int
    serialized: bytes


class ImageInbox:
    """Between the subscription, which must never wait, and the encoder, which takes its time.

    Attributes:
        num_dropped: Wanted images dropped because the inbox was full.
    """

    def __init__(self, frame_fps: float, capacity: int, on_restart: Callable[[], None]) -> None:
        """Make an empty inbox.

        Args:
            frame_fps: Frames wanted per second of header stamps.
            capacity: Images that may wait; one more drops the oldest.
            on_restart: Called when time goes back, before the first image of the new time waits.
        """
        self.num_dropped = 0
        self._sampler = Sampler(frame_fps)
        self._capacity = capacity
        self._on_restart = on_restart
        self._images: deque[WantedImage] = deque()
        self._lock = threading.Lock()

    def offer(self, stamp_ns: int, serialized: bytes) -> Sampling:
        """Let an image wait if the sampler wants it; say what became of it."""
        with self._lock:
            verdict = self._sampler.judge(stamp_ns)
            if verdict is Sampling.RESTARTED:
                self._images.clear()
                self._on_restart()
            if verdict in (Sampling.WANTED, Sampling.RESTARTED):
                if len(self._images) == self._capacity:
                    self._images.popleft()
                    self.num_dropped += 1
                self._images.append(WantedImage(stamp_ns, self._sampler.index, serialized))
            return verdict

    def take(self, count: int) -> list[WantedImage]:
        """Remove and return the oldest images, at most `count`."""
        with self._lock:
            return [self._images.popleft() for _ in range(min(count, len(self._images)))]

    def restart(self) -> None:
        """Forget what waits and what was sampled."""
        with self._lock:
            self._images.clear()
            self._sampler.reset()

    def set_frame_fps(self, frame_fps: float) -> None:
        """Want more or fewer frames from the next image on."""
        with self._lock:
            self._sampler.frame_fps = frame_fps

    def __len__(self) -> int:
        return len(self._images)
