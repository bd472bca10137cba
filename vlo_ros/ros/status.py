# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The health of one stream: its status message, and what diagnostics make of it."""

from __future__ import annotations

import math

import torch
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vlo_ros import msg
from vlo_ros.ros.camera_stream import CameraStream
from vlo_ros.ros.node_config import NodeConfig

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
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


def diagnose(
    name: str, status: msg.StreamStatus, config: NodeConfig, dropped_share: float
) -> DiagnosticStatus:
    """Judge a status by the thresholds of `config`.

    Args:
        name: Of the stream, as diagnostics list it.
        status: What was measured.
        config: The thresholds.
        dropped_share: Share of the wanted frames lost since the last look, 0 to 1.
    """
    latency = status.decision_latency_p95
    findings = [
        (ERROR, 'failed') if status.state == msg.StreamStatus.STATE_FAILED else None,
        (ERROR, 'no images') if status.state == msg.StreamStatus.STATE_STALE else None,
        _above(latency, config.warn_latency, config.error_latency, 'decisions {:.1f} s late'),
        _above(
            dropped_share, config.warn_dropped, config.error_dropped, '{:.0%} of frames dropped'
        ),
        (WARN, status.last_error) if status.last_error else None,
    ]
    found = [finding for finding in findings if finding]
    level = max((finding[0] for finding in found), default=OK)
    words = [finding[1] for finding in found] or [STATE_NAMES[status.state]]
    values = {
        field: getattr(status, field)
        for field in status.get_fields_and_field_types()
        if field not in ('header', 'state', 'last_error')
    }
    if torch.cuda.is_available() and status.device.startswith('cuda'):
        free, total = torch.cuda.mem_get_info()
        values['gpu_memory_used_gb'] = (total - free) / 1e9
        values['gpu_memory_total_gb'] = total / 1e9
    return DiagnosticStatus(
        level=level,
        name=name,
        message='; '.join(words),
        hardware_id=status.model,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def _above(value: float, warn: float, error: float, words: str) -> tuple[bytes, str] | None:
    if math.isnan(value) or value <= warn:
        return None
    return ERROR if value > error else WARN, words.format(value)


def _text(value) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
