# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = 'ok'
    SKIPPED = 'skipped'  # cannot be told here
    WARNING = 'warning'  # it works, but not as well as it could
    ERROR = 'error'  # it will not work


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        check: What was looked at, in a few words.
        level: How bad it is.
        message: What is the case.
        fix: What to do about it; '' where there is nothing to do.
    """

    check: str
    level: Level
    message: str
    fix: str = ''


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def skipped(check: str, message: str) -> Finding:
    """It cannot be told here."""
    return Finding(check, Level.SKIPPED, message)


def warning(check: str, message: str, fix: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(check, Level.WARNING, message, fix)


def error(check: str, message: str, fix: str) -> Finding:
    """It will not work."""
    return Finding(check, Level.ERROR, message, fix)
