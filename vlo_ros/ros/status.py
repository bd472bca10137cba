# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The health of one stream: its status message, and what diagnostics make of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vlo_ros import msg
from vlo_ros.errors import one_line
from vlo_ros.ros.camera_stream import CameraStream
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.statistics import WINDOW_S

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Finding: TypeAlias = tuple[bytes, str]  # level, words
STATE_NAMES = {
    msg.StreamStatus.STATE_INACTIVE: 'inactive',
    msg.StreamStatus.STATE_WATCHING: 'watching',
    msg.StreamStatus.STATE_RESPONDING: 'responding',
    msg.StreamStatus.STATE_STALE: 'stale',
    msg.StreamStatus.STATE_FAILED: 'failed',
}


def status_of(camera: CameraStream, model_name: str, device: str) -> msg.StreamStatus:
    """Measure one stream; the header is left to the caller."""
    counts, stream = camera.statistics, camera.stream
    status = msg.StreamStatus(
        state=_state_of(camera),
        fps_received=counts.received.per_second(),
        fps_judged=counts.judged.per_second(),
        frames_received=counts.frames_received,
        frames_judged=counts.frames_judged,
        frames_skipped=counts.frames_skipped,
        frames_dropped=camera.num_dropped,
        frames_rejected=counts.frames_rejected,
        queries_received=counts.queries_received,
        queries_rejected=counts.queries_rejected,
        responses=counts.responses,
        backlog_frames=stream.backlog_frames,
        backlog_capacity=stream.config.backlog_frames,
        backlog_queries=stream.backlog_queries,
        cache_tokens=stream.decoder.cache.length,
        cache_capacity=stream.decoder.cache.capacity,
        evictions=stream.num_evictions,
        resets=counts.resets,
        model=model_name,
        device=device,
        last_error=camera.failure or camera.notices.last,
    )
    status.header.frame_id = camera.images.frame_id
    for name in ('decision', 'first_token', 'publish'):
        values = getattr(counts, f'{name}_latency').percentiles()
        for percent, value in zip((50, 95, 99), values, strict=True):
            setattr(status, f'{name}_latency_p{percent}', value)
    return status


def _state_of(camera: CameraStream) -> int:
    if camera.failure:
        return msg.StreamStatus.STATE_FAILED
    if not camera.is_open:
        return msg.StreamStatus.STATE_INACTIVE
    if camera.judge.is_speaking:
        return msg.StreamStatus.STATE_RESPONDING
    if camera.is_stale:
        return msg.StreamStatus.STATE_STALE
    return msg.StreamStatus.STATE_WATCHING


@dataclass(frozen=True)
class Vitals:
    """What diagnostics judge of a stream and its status does not tell.

    Attributes:
        dropped_share: Share of the wanted frames lost since the last look, 0 to 1.
        arriving_share: Images that arrive, as a share of those that frame_fps wants; nan where
            that cannot be told.
        recent: The line reported last, '' when that is long ago.
    """

    dropped_share: float = 0.0
    arriving_share: float = math.nan
    recent: str = ''


def arriving_share(camera: CameraStream) -> float:
    """Measure `Vitals.arriving_share`; nan without images, and until a whole window is open."""
    counts = camera.statistics
    age_s = time.monotonic() - counts.active_since
    if not camera.is_open or camera.is_stale or age_s < WINDOW_S:
        return math.nan
    # Of a recording that is played slowly fewer are wanted in a second.
    wanted_fps = camera.stream.config.frame_fps * counts.pace.seconds_per_second()
    # One image more or less in the window is chance.
    return (counts.received.per_second() + 1 / WINDOW_S) / wanted_fps


def diagnose(
    name: str, status: msg.StreamStatus, vitals: Vitals, config: NodeConfig
) -> DiagnosticStatus:
    """Judge a status by the thresholds of `config`.

    Args:
        name: Of the stream, as diagnostics list it.
        status: What was measured.
        vitals: What was measured besides.
        config: The thresholds.
    """
    has_failed = status.state == msg.StreamStatus.STATE_FAILED
    values = {
        field: getattr(status, field)
        for field in status.get_fields_and_field_types()
        if field not in ('header', 'state', 'last_error')
    }
    findings = [
        (ERROR, f'failed; {status.last_error}') if has_failed else None,
        (ERROR, 'no images') if status.state == msg.StreamStatus.STATE_STALE else None,
        _below(
            vitals.arriving_share,
            config.warn_fps,
            config.error_fps,
            f'only {status.fps_received:.1f} images/s arrive',
        ),
        _above(
            status.decision_latency_p95,
            config.warn_latency,
            config.error_latency,
            f'decisions {status.decision_latency_p95:.1f} s late',
        ),
        _above(
            vitals.dropped_share,
            config.warn_dropped,
            config.error_dropped,
            f'{vitals.dropped_share:.0%} of frames dropped',
        ),
        _above(
            status.backlog_frames / max(status.backlog_capacity, 1),
            config.warn_backlog,
            config.error_backlog,
            f'{status.backlog_frames} of {status.backlog_capacity} frames wait',
        ),
        _judge_gpu_memory(status.device, values, config),
        (WARN, vitals.recent) if vitals.recent and not has_failed else None,
    ]
    found = [finding for finding in findings if finding]
    level = max((finding[0] for finding in found), default=OK)
    words = [finding[1] for finding in found] or [STATE_NAMES[status.state]]
    return DiagnosticStatus(
        level=level,
        name=name,
        message='; '.join(words),
        hardware_id=status.model,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def _judge_gpu_memory(device: str, values: dict[str, Any], config: NodeConfig) -> Finding | None:
    """Measure the model's GPU, whatever programs use it, into `values`."""
    if not device.startswith('cuda'):
        return None
    try:
        free, total = torch.cuda.mem_get_info(torch.device(device))
    except RuntimeError as error:  # the rest of the health is told even so
        return ERROR, f'{device} does not answer: {one_line(error)}'
    used = total - free
    values['gpu_memory_used_gb'] = used / 1e9
    values['gpu_memory_total_gb'] = total / 1e9
    share = used / total
    words = f'{share:.1%} of the memory of {device} in use'
    return _above(share, config.warn_gpu_memory, config.error_gpu_memory, words)


def _above(value: float, warn: float, error: float, words: str) -> Finding | None:
    """Find `value` too high; nan is never."""
    if math.isnan(value) or value <= min(warn, error):
        return None
    return ERROR if value > error else WARN, words


def _below(value: float, warn: float, error: float, words: str) -> Finding | None:
    """Find `value` too low; nan is never."""
    return _above(-value, -warn, -error, words)


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
