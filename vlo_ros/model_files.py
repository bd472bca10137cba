# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which files of a model are on this machine, found without loading or downloading any weight."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from vlo_ros.adapter import ADAPTER_FILE
from vlo_ros.checkpoint import HUB_FILES, local_folder, read_config
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CheckpointError
from vlo_ros.known_models import KNOWN_MODELS

SETTINGS = ('llm', 'vision', 'adapter', 'connector')
WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'


@dataclass(frozen=True)
class ModelFiles:
    """One part of a model.

    Attributes:
        setting: 'llm', 'vision', 'adapter' or 'connector'.
        name: Folder or hub name, as the YAML has it.
        folder: Where it is; None when the hub name is not cached here.
        missing: Files that should be in `folder` and are not, or are damaged.
        num_bytes: Size of the weight files that are there.
    """

    setting: str
    name: str
    folder: Path | None
    missing: tuple[str, ...]
    num_bytes: int

    @property
    def is_cached_from_hub(self) -> bool:
        """Whether this is a hub name that has been downloaded."""
        return self.folder is not None and not Path(self.name).expanduser().exists()


def find_files(config: ModelConfig) -> list[ModelFiles]:
    """Look for every part that `config` names.

    Raises:
        CheckpointError: A name that is neither a folder nor could be a hub name.
    """
    return [_find(setting, config) for setting in SETTINGS if getattr(config, setting)]


def find_config(files: ModelFiles) -> Any | None:
    """The part's transformers config; None where it can only be had from the hub.

    Raises:
        CheckpointError: Its config.json is missing or damaged.
    """
    if files.folder is not None:
        return read_config(files.setting, files.folder)
    known = KNOWN_MODELS.get(files.name)
    return None if known is None else AutoConfig.for_model(**known)


def _find(setting: str, config: ModelConfig) -> ModelFiles:
    name = str(getattr(config, setting))
    if setting == 'connector':
        path = Path(name)
        broken = (str(path),) if _is_damaged(path) else ()
        size = path.stat().st_size if path.exists() else 0
        return ModelFiles(setting, name, path.parent, broken, size)
    folder = _folder_of(setting, name, getattr(config, f'{setting}_revision'))
    if folder is None:
        return ModelFiles(setting, name, None, (), 0)
    wanted = ['adapter_config.json'] if setting == 'adapter' else ['config.json']
    missing = [file for file in wanted if not (folder / file).exists()]
    if setting == 'llm' and not any(
        (folder / file).exists() for file in ('tokenizer.json', 'tokenizer.model')
    ):
        missing.append('tokenizer.json')
    weights = [ADAPTER_FILE] if setting == 'adapter' else _weight_files(folder)
    missing += [file for file in weights if _is_damaged(folder / file)]
    present = [folder / file for file in weights if (folder / file).exists()]
    num_bytes = sum(path.stat().st_size for path in present)
    return ModelFiles(setting, name, folder, tuple(missing), num_bytes)


def _folder_of(setting: str, name: str, revision: str | None) -> Path | None:
    """Folder of a part; None for a hub name that is not cached."""
    if Path(name).expanduser().is_dir() or name.startswith(('.', '/', '~')):
        return local_folder(setting, name, revision)
    if name.count('/') != 1:
        return local_folder(setting, name, revision)  # says what is wrong with the name
    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=HUB_FILES, local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise CheckpointError(f'model.{setting}: {name!r} is no hub name: {error}') from error


def _weight_files(folder: Path) -> list[str]:
    """Names of the weight files a folder should have."""
    index = folder / INDEX
    if (folder / WEIGHTS).exists() or not index.exists():
        return [WEIGHTS]
    try:
        weight_map = json.loads(index.read_text(encoding='utf-8'))['weight_map']
        return sorted(set(weight_map.values()))
    except (ValueError, KeyError, AttributeError, OSError):
        return [INDEX]


def _is_damaged(path: Path) -> bool:
    """Whether a weight file is missing, cut off, or no safetensors; reads its header alone."""
    try:
        with safe_open(str(path), 'pt'):
            return False
    except (OSError, SafetensorError):
        return True
