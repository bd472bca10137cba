# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotation files whose errors name the file and the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlo_ros.errors import VloError

MAX_NUMBER = 1e15


class DatasetError(VloError, ValueError):
    """A data set cannot be built; one line: which file, which key, what is accepted."""


class Entry:
    """One value of an annotation file that remembers where it stands.

    Args:
        value: the parsed JSON value.
        file: the file it was read from.
        parent: the entry that holds this one, or None for the whole file.
        name: its key or position in the parent.
    """

    __slots__ = ('file', 'name', 'parent', 'value')

    def __init__(
        self, value: Any, file: Path, parent: Entry | None = None, name: str | int = ''
    ) -> None:
        self.value = value
        self.file = file
        self.parent = parent
        self.name = name

    @property
    def key(self) -> str:
        """The way to this value, such as `videos[3].clips[0].video_start_sec`."""
        if self.parent is None:
            return ''
        before = self.parent.key
        if isinstance(self.name, int):
            return f'{before}[{self.name}]'
        return f'{before}.{self.name}' if before else self.name

    def error(self, why: str) -> DatasetError:
        """Return the error that says what is wrong with this value."""
        return DatasetError(f'{self.file}: {self.key or "the file"} {why}')

    def __getitem__(self, name: str) -> Entry:
        entry = self.find(name)
        if entry is None:
            raise Entry(None, self.file, self, name).error('is missing')
        return entry

    def find(self, name: str) -> Entry | None:
        """Return the value under `name`, or None where it is absent or null."""
        value = self._checked(dict, 'an object').get(name)
        return None if value is None else Entry(value, self.file, self, name)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield the names and values of an object in the order of the file."""
        for name, value in self._checked(dict, 'an object').items():
            yield name, Entry(value, self.file, self, name)

    def __iter__(self) -> Iterator[Entry]:
        for position, value in enumerate(self._checked(list, 'a list')):
            yield Entry(value, self.file, self, position)

    def text(self) -> str:
        """Return a string."""
        return str(self._checked(str, 'a text'))

    def number(self) -> float:
        """Return a finite number as the file has it (int or float)."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong('a number')
        if not -MAX_NUMBER < value < MAX_NUMBER:  # NaN and infinity are JSON to Python
            raise self._wrong('a finite number')
        return value

    def index(self, size: int) -> int:
        """Return an integer in 0..size-1."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
            raise self._wrong(f'an integer from 0 to {size - 1}')
        return value

    def _checked(self, kind: type, what: str) -> Any:
        if not isinstance(self.value, kind):
            raise self._wrong(what)
        return self.value

    def _wrong(self, what: str) -> DatasetError:
        shown = json.dumps(self.value, ensure_ascii=True, default=str)
        shown = shown if len(shown) <= 60 else f'{shown[:57]}...'
        return self.error(f'must be {what}, not {shown}')


def read_json(file: Path) -> Entry:
    """Read an annotation file.

    Args:
        file: a JSON file.

    Raises:
        DatasetError: it is missing, unreadable or not JSON.
    """
    try:
        return Entry(json.loads(file.read_text(encoding='utf-8')), file)
    except FileNotFoundError:
        raise DatasetError(f'{file}: no such annotation file') from None
    except json.JSONDecodeError as error:
        place = f'line {error.lineno}, column {error.colno}'
        raise DatasetError(f'{file}: not valid JSON at {place}: {error.msg}') from None
    except UnicodeDecodeError as error:
        raise DatasetError(f'{file}: not UTF-8 at byte {error.start}') from None
    except ValueError as error:  # an integer of thousands of digits
        raise DatasetError(f'{file}: not valid JSON: {error}') from None
    except RecursionError:
        raise DatasetError(f'{file}: not an annotation file: nested too deeply') from None
    except OSError as error:
        raise DatasetError(f'{file}: cannot be read: {error.strerror}') from None
