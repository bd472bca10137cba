# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an episode looks like: tables, skin, sleeves, light, sensor, camera; drawn once by lot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world.pose import CameraMotion
from vlo_ros.rendered_world.textures import Picture, draw_station

_SKIN = ((244, 205, 176), (226, 176, 138), (196, 142, 104), (150, 100, 70), (104, 68, 48))
_SLEEVES = (
    (70, 74, 84),
    (118, 108, 96),
    (86, 98, 90),
    (150, 146, 142),
    (60, 52, 50),
    (104, 92, 112),
)


@dataclass(slots=True)
class Look:
    """What an episode looks like: everything that chance decides once."""

    seed: tuple[int, ...]
    texture: tuple[str, ...]  # kind of table per station
    skin: tuple[int, int, int]
    sleeve: tuple[int, int, int]
    gain: NDArray[np.float32]  # (3,) light colour
    slope: tuple[float, float]  # how much the light changes across the picture
    noise: float  # standard deviation of the sensor noise, 0..255 scale
    camera: CameraMotion
    _stations: dict[int, Picture] = field(default_factory=dict)

    @classmethod
    def draw(cls, rng: np.random.Generator, seed: tuple[int, ...], kinds: tuple[str, ...]) -> Look:
        """Let chance decide."""
        return cls(
            seed=seed,
            texture=tuple(kinds[int(k)] for k in rng.integers(0, len(kinds), 4)),
            skin=_SKIN[int(rng.integers(len(_SKIN)))],
            sleeve=_SLEEVES[int(rng.integers(len(_SLEEVES)))],
            gain=(rng.uniform(0.75, 1.12) * rng.normal(1, 0.025, 3).clip(0.94, 1.06)).astype(
                np.float32
            ),
            slope=(float(rng.uniform(-0.14, 0.14)), float(rng.uniform(-0.14, 0.14))),
            noise=float(rng.uniform(0.5, 6.0)),
            camera=CameraMotion(rng),
        )

    def station(self, index: int) -> Picture:
        """Picture of an empty station; drawn when first needed."""
        if index not in self._stations:
            rng = np.random.default_rng((*self.seed, 7, index))
            self._stations[index] = draw_station(index, self.texture[index], rng)
        return self._stations[index]
