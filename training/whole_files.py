# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all, whenever a run is killed."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from vlo_ros.errors import VloError, one_line

PARTIAL = '.partial'  # a file beside its final name, until it is complete
_ABANDONED_S = 3600.0  # writing takes far less, on any file system


def write_text(path: Path, text: str) -> None:
    """Write a text file; its folder is made if needed.

    Raises:
        VloError: It cannot be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding='utf-8')
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # its folder may be no folder at all
            partial.unlink()
        raise VloError(f'{path}: cannot be written: {one_line(error)}') from error


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file; its folder is made if needed.

    Raises:
        VloError: It cannot be written.
    """
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False))


def partial_path(path: Path) -> Path:
    """Where a file is written before it is renamed; no two processes share it."""
    return path.with_name(f'.{path.name}.{os.getpid()}{PARTIAL}')


def remove_abandoned(folder: Path) -> None:
    """Remove what killed runs were writing at any depth, but nothing that may be under way."""
    for path in folder.rglob(f'.*{PARTIAL}'):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
        except FileNotFoundError:
            continue  # another run was quicker
