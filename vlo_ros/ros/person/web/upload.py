# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video that a person uploads, judged by `vlo replay` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

# Whatever FFmpeg reads from these; the suffix is all that is taken from the person's file name.
SUFFIXES = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.mpg', '.mpeg')
MAX_BYTES = 1_000_000_000
LONGEST_LINE = 1 << 20


class VideoReplay:
    """One run of `vlo replay`; leaving the block ends it."""

    def __init__(self, video: Path, model: str, settings: dict[str, float]) -> None:
        """Prepare; `settings` are those of the stream, by name."""
        changes = [f'--set={name}={value}' for name, value in settings.items()]
        self._command = [
            *(sys.executable, '-m', 'vlo_ros', 'replay', str(video)),
            *('--model', model, '--output', '-', *changes),
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> VideoReplay:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        """End it, if it has not ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what replay writes, then {'kind': 'end', 'error': one line or ''}."""
        process = self._process
        assert process is not None and process.stdout is not None and process.stderr is not None
        complaint = asyncio.create_task(process.stderr.read())
        async for line in process.stdout:
            event = json.loads(line)
            event.pop('token_ids', None)
            yield event
        status = await process.wait()
        lines = (await complaint).decode(errors='replace').strip().splitlines()
        yield {'kind': 'end', 'error': (lines or ['it failed'])[-1] if status else ''}
