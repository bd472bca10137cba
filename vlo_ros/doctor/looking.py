# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds out what is the case on this machine and on the graph. Nothing is judged here.

Whatever cannot be found out is None or '' in the facts; looking never raises.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from vlo_ros.config import VloConfig
from vlo_ros.doctor.facts import Facts, GpuFacts, ModelFacts, RosFacts
from vlo_ros.errors import VloError, one_line

# Started by name: the core does not import the ROS side.
GRAPH_PROBE = 'vlo_ros.ros.graph_probe'
# Without listening: finding the graph and asking the node take about 7 s.
PROBE_TIMEOUT_S = 60.0
# It waits for the first image and then counts, best effort and perhaps again reliably.
PROBE_LISTENS = 4
SHARED_MEMORY = Path('/dev/shm')


def gather(
    model: str,
    config: VloConfig | VloError,
    image: str,
    image_transport: str,
    node: str,
    listen_s: float,
) -> Facts:
    """Find out everything.

    Args:
        model: Name of the model, as typed.
        config: What it holds, or why it could not be read.
        image: Camera topic, '' for the one that the node watches.
        image_transport: 'raw' or 'compressed'.
        node: Full name of the node `vlo`.
        listen_s: How long to listen to the camera, s.
    """
    ros = look_at_ros()
    graph, graph_error = None, 'ROS cannot be imported'
    if ros.has_rclpy:
        topic = f'{image}/compressed' if image and image_transport == 'compressed' else image
        graph, graph_error = probe_graph(topic, node, listen_s)
    return Facts(
        environ=dict(os.environ),
        python=sys.version_info[:2],
        ros=ros,
        shared_memory_bytes=_free_bytes(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
        shared_memory_litter=count_litter(SHARED_MEMORY),
        disk_free_bytes=_free_bytes(_model_folder()),
        gpu=look_at_gpu(),
        model=look_at_model(model, config),
        frame_fps=config.stream.frame_fps if isinstance(config, VloConfig) else 2.0,
        other_domains=look_for_domains(),
        image_transport=image_transport,
        node=node,
        graph=graph,
        graph_error=graph_error,
    )


def look_at_ros() -> RosFacts:
    """Try the imports that the node makes, in a process of their own."""
    if importlib.util.find_spec('rclpy') is None:
        return RosFacts(False, '', False, os.environ.get('ROS_DISTRO', ''))
    status, output = _run([sys.executable, '-c', 'import rclpy, rclpy.node'], 30.0)
    reason = '' if status == 0 else (output.strip().splitlines() or ['it crashed'])[-1]
    has_messages = importlib.util.find_spec('vlo_ros.msg') is not None
    return RosFacts(status == 0, reason, has_messages, os.environ.get('ROS_DISTRO', ''))


def probe_graph(image: str, node: str, listen_s: float) -> tuple[dict[str, Any] | None, str]:
    """Look at the live graph; return (facts, '') or (None, why not)."""
    arguments = ['--image', image, '--node', node, '--seconds', str(listen_s)]
    timeout_s = PROBE_TIMEOUT_S + PROBE_LISTENS * listen_s
    status, output = _run([sys.executable, '-m', GRAPH_PROBE, *arguments], timeout_s)
    for line in reversed(output.splitlines()):
        if line.startswith('{'):
            return json.loads(line), ''
    last = (output.strip().splitlines() or ['it said nothing'])[-1]
    return None, f'the graph could not be looked at (exit status {status}): {last}'


def look_at_gpu() -> GpuFacts:
    """Ask the driver, and PyTorch."""
    import torch

    status, listed = _run(['nvidia-smi', '--query-gpu=name', '--format=csv,noheader'], 10.0)
    names = tuple(line.strip() for line in listed.splitlines() if line.strip())
    _, banner = _run(['nvidia-smi'], 10.0)
    found = re.search(r'CUDA Version: *([\d.]+)', banner)
    is_usable, capability = torch.cuda.is_available(), ''
    if is_usable:
        try:
            capability = 'sm_{}{}'.format(*torch.cuda.get_device_capability())
        except RuntimeError:  # counted, and yet it cannot be opened
            is_usable = False
    return GpuFacts(
        names=names if status == 0 else (),
        driver_cuda=found.group(1) if found else '',
        torch=torch.__version__,
        torch_cuda=torch.version.cuda or '',
        is_usable=is_usable,
        architectures=tuple(torch.cuda.get_arch_list()) if is_usable else (),
        capability=capability,
        flash_attn=_flash_attn(),
    )


def look_at_model(name: str, config: VloConfig | VloError) -> ModelFacts:
    """Ask `vlo check-model`."""
    if not isinstance(config, VloConfig):
        return ModelFacts(name, error=str(config))
    from vlo_ros.footprint import measure

    try:
        footprint = measure(config)
    except VloError as error:
        return ModelFacts(name, error=str(error))
    return ModelFacts(
        name,
        missing=tuple(footprint.missing()),
        notes=tuple(footprint.notes),
        needed_bytes=footprint.total_bytes(_row_of(config, footprint.dtype)),
        device=footprint.device,
        device_bytes=footprint.device_bytes,
    )


def look_for_domains(proc: Path = Path('/proc')) -> frozenset[str]:
    """ROS domains of this user's other processes; '0' for those that name none is left out."""
    found = set()
    for folder in proc.glob('[0-9]*'):
        if folder.name == str(os.getpid()):
            continue
        try:
            entries = (folder / 'environ').read_bytes().split(b'\0')
        except OSError:  # ended meanwhile, or somebody else's
            continue
        for entry in entries:
            name, _, value = entry.decode('utf-8', 'replace').partition('=')
            if name == 'ROS_DOMAIN_ID' and value:
                found.add(value)
    return frozenset(found)


def count_litter(folder: Path, proc: Path = Path('/proc')) -> int | None:
    """Shared-memory files of Fast DDS, of this user, that no running process holds.

    None where there may be some: a process of this user whose maps cannot be read may hold any of
    them. Nobody may read those of the first process of a system, and it holds none.
    """
    # Each segment has a file for its lock beside it, `NAME_el`, which nobody maps.
    found = [*folder.glob('fastdds_*'), *folder.glob('fastrtps_*')]
    left = {str(path) for path in found if not path.name.endswith('_el') and _is_own(path)}
    is_all_read = True
    for maps in proc.glob('[0-9]*/maps') if left else ():
        try:
            text = maps.read_text(errors='replace')
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        except OSError:
            is_all_read &= maps.parent.name == '1' or not _is_own(maps.parent)
            continue
        left -= set(re.findall(rf'({re.escape(str(folder))}/fast\w+)', text))
    return len(left) if is_all_read or not left else None


def _is_own(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:  # removed meanwhile
        return False


def _row_of(config: VloConfig, dtype: str) -> str:
    """The row of the footprint's table that the configuration means."""
    if config.model.quantization != 'none':
        return 'int4' if config.model.quantization == 'int4' else 'int8'
    return 'float32' if dtype == 'float32' else 'bfloat16'


def _flash_attn() -> str:
    if importlib.util.find_spec('flash_attn') is None:
        return 'absent'
    status, output = _run(
        [sys.executable, '-c', 'import flash_attn as f; print(f.__version__)'], 60
    )
    last = (output.strip().splitlines() or ['it crashed'])[-1]
    return last if status == 0 else f'broken: {last}'


def _model_folder() -> Path:
    """Where models are downloaded to, or the nearest folder above it that exists."""
    home = Path(os.environ.get('HF_HOME', '~/.cache/huggingface')).expanduser()
    return next(folder for folder in (home, *home.parents) if folder.exists())


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _run(command: list[str], timeout_s: float) -> tuple[int, str]:
    """Run a program; return its exit status and all it printed, 127 where there is no such."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            text=True,
            errors='replace',
        )
    except OSError as error:
        return 127, one_line(error)
    except subprocess.TimeoutExpired:
        return 124, f'{command[0]} did not answer in {timeout_s:.0f} s'
    return done.returncode, done.stdout
