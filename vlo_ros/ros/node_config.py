# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that belong to the node: cameras, transport, queues, when its health is poor."""

from __future__ import annotations

from dataclasses import dataclass

from vlo_ros.config import BUNDLED, Checked, setting
from vlo_ros.errors import ConfigError


@dataclass(frozen=True)
class NodeConfig(Checked):
    """What belongs to the node rather than to the model or to one stream."""

    section = 'node'

    model: str = setting(BUNDLED, "model YAML, or 'bundled' for the model inside the package")
    cameras: tuple[str, ...] = setting(
        (), 'names of the cameras, each with its own topics; empty: one camera on `image`'
    )
    image_transport: str = setting(
        'raw',
        'raw takes `image`, compressed takes `image/compressed`',
        choices=('raw', 'compressed'),
    )
    lazy: bool = setting(
        False, 'judge no frame while nobody subscribes to what would come of it', live=True
    )
    inbox_images: int = setting(
        16,
        'wanted images that may wait for the encoder; when full the oldest is dropped',
        ge=1,
        le=1000,
    )
    encode_batch: int = setting(8, 'most images encoded in one forward', ge=1, le=256)
    batch: bool = setting(True, 'what several cameras need next is done in one forward', live=True)
    batch_wait: float = setting(
        0.0,
        'seconds that a frame waits for those of the other cameras, to be judged in one forward',
        ge=0.0,
        le=1.0,
        live=True,
    )
    query_timeout: float = setting(
        600.0,
        'seconds after which a query is refused that no frame came to',
        ge=0.1,
        le=86400.0,
        live=True,
    )
    stale_after: float = setting(
        2.0, 'seconds without an image after which a camera is stale', ge=0.1, le=3600.0, live=True
    )
    warn_latency: float = setting(
        2.0, 'diagnostics warn above this decision latency, p95 in s', ge=0.0, le=3600.0, live=True
    )
    error_latency: float = setting(
        10.0,
        'diagnostics fail above this decision latency, p95 in s',
        ge=0.0,
        le=3600.0,
        live=True,
    )
    warn_dropped: float = setting(
        0.01, 'diagnostics warn above this share of wanted frames lost', ge=0.0, le=1.0, live=True
    )
    error_dropped: float = setting(
        0.5, 'diagnostics fail above this share of wanted frames lost', ge=0.0, le=1.0, live=True
    )
    warn_fps: float = setting(
        0.8,
        'diagnostics warn when fewer images arrive than this share of frame_fps',
        ge=0.0,
        le=1.0,
        live=True,
    )
    error_fps: float = setting(
        0.1,
        'diagnostics fail when fewer images arrive than this share of frame_fps',
        ge=0.0,
        le=1.0,
        live=True,
    )
    warn_backlog: float = setting(
        0.5, 'diagnostics warn above this share of backlog_frames', ge=0.0, le=1.0, live=True
    )
    error_backlog: float = setting(
        0.9, 'diagnostics fail above this share of backlog_frames', ge=0.0, le=1.0, live=True
    )
    warn_gpu_memory: float = setting(
        0.95,
        "diagnostics warn above this share of the GPU's memory, all programs together",
        ge=0.0,
        le=1.0,
        live=True,
    )
    error_gpu_memory: float = setting(
        0.99,
        "diagnostics fail above this share of the GPU's memory, all programs together",
        ge=0.0,
        le=1.0,
        live=True,
    )
    warn_for: float = setting(
        30.0,
        'seconds that diagnostics warn of what was reported last (`last_error`)',
        ge=0.0,
        le=86400.0,
        live=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.cameras:
            # A topic's piece: what ROS 2 accepts between two slashes.
            if not (name.isascii() and name.isidentifier()):
                raise ConfigError(
                    f'cameras: {name!r} cannot be part of a topic; letters, digits and _ can'
                )
        if len(set(self.cameras)) < len(self.cameras):
            raise ConfigError(f'cameras: {list(self.cameras)} names a camera twice')
