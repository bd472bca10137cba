# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame features on disk: safetensors shards, or the official one `.pt` per video."""

# Shapes: N frames, F tokens per frame, V vision dim.
from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from vlo_ros.errors import VloError, one_line

TENSOR = 'features'  # name of the tensor in a safetensors file that holds one video


class FeatureError(VloError):
    """Features are missing, damaged or too short."""


class FeatureStore:
    """Looks features up by the names that conversations use.

    A name is a tensor in one of the shards (`*.safetensors`) of a folder, or the path of a `.pt`
    or `.safetensors` file, as it is or inside a folder.
    """

    def __init__(self, folders: Sequence[str | Path], in_memory: bool = False) -> None:
        """Index the shards.

        Args:
            folders: Where to look, in order.
            in_memory: Keep what was read; a memory-mapped file is read again and again.

        Raises:
            FeatureError: A folder is missing or a shard is damaged.
        """
        self._folders = [Path(folder).expanduser() for folder in folders]
        self._kept: dict[str, torch.Tensor] | None = {} if in_memory else None
        self._shards: dict[str, Path] = {}
        for folder in self._folders:
            if not folder.is_dir():
                raise FeatureError(f'data.features: {folder} is no folder')
            for shard in sorted(folder.glob('*.safetensors')):
                self._shards.update(dict.fromkeys(_names(shard), shard))

    def load(self, ranges: Mapping[str, Sequence[int]]) -> torch.Tensor:
        """Features of the frames [first, end) of each name, one after the other: (N, F, V).

        Raises:
            FeatureError: Unknown name, damaged file, or fewer frames than asked for.
        """
        parts = [self._read(name, int(first), int(end)) for name, (first, end) in ranges.items()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def load_all(self, name: str) -> torch.Tensor:
        """All features of one name: (N, F, V)."""
        return self._open(name, 0, None)

    def _read(self, name: str, first: int, end: int) -> torch.Tensor:
        if self._kept is not None:
            if name not in self._kept:
                self._kept[name] = self._open(name, 0, None)
            found = self._kept[name][first:end]
        else:
            found = self._open(name, first, end)
        if found.ndim != 3:
            raise FeatureError(f'{name}: features of shape (frames, tokens, dim) are expected')
        if len(found) != end - first:
            raise FeatureError(f'{name}: frames {first} to {end} are wanted, it has fewer')
        return found

    def _open(self, name: str, first: int, end: int | None) -> torch.Tensor:
        path, tensor = self._shards.get(name), name
        if path is None:
            path, tensor = self._find(name), TENSOR
        try:
            if path.suffix == '.pt':
                features: torch.Tensor = torch.load(
                    path, map_location='cpu', weights_only=True, mmap=True
                )[first:end]
                return features
            with safe_open(str(path), 'pt') as file:
                return file.get_slice(tensor)[first:end]
        except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError) as error:
            raise FeatureError(f'{path}: damaged: {one_line(error)}') from error

    def _find(self, name: str) -> Path:
        stem = Path(name)
        for candidate in (stem, *(folder / stem for folder in self._folders)):
            for path in (candidate, candidate.with_suffix('.safetensors')):
                if path.is_file() and path.suffix in ('.pt', '.safetensors'):
                    return path
        where = ', '.join(map(str, self._folders)) or 'no folder at all'
        raise FeatureError(
            f'data.features: {name!r} is neither a shard tensor nor a file in {where}'
        )


def _names(shard: Path) -> list[str]:
    try:
        with safe_open(str(shard), 'pt') as file:
            return list(file.keys())
    except SafetensorError as error:
        raise FeatureError(f'{shard}: damaged: {one_line(error)}') from error
