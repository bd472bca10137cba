# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is the case on this machine and on the graph, as plain data. Nothing is judged here.

Whatever could not be found out is None or ''.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RosFacts:
    """The ROS that this interpreter sees.

    Attributes:
        has_rclpy: Whether rclpy can be imported.
        import_error: Why not, where it is installed and still cannot.
        has_messages: Whether the built message classes of vlo_ros are there.
        distro: ROS_DISTRO; '' where it is not set, as with the wheels.
    """

    has_rclpy: bool
    import_error: str
    has_messages: bool
    distro: str


@dataclass(frozen=True)
class GpuFacts:
    """Graphics cards, and what PyTorch makes of them.

    Attributes:
        names: Cards that the driver lists, () without a driver.
        driver_cuda: Newest CUDA that the driver supports, e.g. '12.4'; '' if unknown.
        torch: PyTorch's version.
        torch_cuda: CUDA it was built for; '' for a build without.
        is_usable: Whether PyTorch can use a card.
        architectures: What its kernels were built for, e.g. ('sm_80', 'sm_90').
        capability: The first card's, e.g. 'sm_90'; '' if unknown.
        flash_attn: 'absent', its version, or 'broken: why'.
    """

    names: tuple[str, ...] = ()
    driver_cuda: str = ''
    torch: str = ''
    torch_cuda: str = ''
    is_usable: bool = False
    architectures: tuple[str, ...] = ()
    capability: str = ''
    flash_attn: str = 'absent'


@dataclass(frozen=True)
class ModelFacts:
    """The model that was asked about.

    Attributes:
        name: As it was typed.
        error: Why it cannot be looked at; '' when it can.
        missing: Files that are not there, a line for each part.
        notes: Other remarks on it.
        needed_bytes: Weights, one stream and working memory.
        device: Where it would run.
        device_bytes: Memory there.
    """

    name: str
    error: str = ''
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needed_bytes: float = 0.0
    device: str = ''
    device_bytes: float = 0.0


@dataclass(frozen=True)
class Facts:
    """All of it.

    Attributes:
        environ: Environment of this process.
        python: Interpreter's version.
        ros: The ROS seen from here.
        shared_memory_bytes: Free in /dev/shm, None where that does not exist.
        shared_memory_litter: Files of this user there that no process holds, None where
            processes that cannot be looked into might hold them.
        disk_free_bytes: Free where models are downloaded to.
        gpu: Graphics.
        model: The model.
        frame_fps: Frames the model wants per second.
        other_domains: ROS domains of other processes of this user here.
        image_transport: 'raw' or 'compressed', as asked about.
        node: Full name of the node asked about.
        graph: What graph_probe prints; None when it could not look.
        graph_error: Why not.
    """

    environ: Mapping[str, str]
    python: tuple[int, int]
    ros: RosFacts
    shared_memory_bytes: int | None
    shared_memory_litter: int | None
    disk_free_bytes: int
    gpu: GpuFacts
    model: ModelFacts
    frame_fps: float
    other_domains: frozenset[str] = frozenset()
    image_transport: str = 'raw'
    node: str = '/vlo'
    graph: Mapping[str, Any] | None = None
    graph_error: str = ''
