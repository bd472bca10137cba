# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be done: which recordings, called what, encoded how."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlo_ros.checkpoint import local_folder
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CheckpointError, ConfigError, SourceError
from vlo_ros.sources.images import SUFFIXES as IMAGE_SUFFIXES
from vlo_ros.sources.recording import BAG_SUFFIXES

VIDEO_SUFFIXES = (
    '.mp4', '.mkv', '.webm', '.avi', '.mov', '.m4v', '.mpg', '.mpeg', '.ts', '.wmv',
    '.flv', '.ogv',
)  # fmt: skip
GAPS = ('keep', 'fill')


@dataclass(frozen=True)
class Job:
    """One recording.

    Attributes:
        uid: Its name in every annotation file; name of its feature file.
        source: Path of the recording.
        topic: Image topic of a bag; None takes the only one.
    """

    uid: str
    source: str
    topic: str | None = None


@dataclass(frozen=True)
class Settings:
    """How all recordings of a run are encoded.

    Attributes:
        model: Names the vision tower and the variant; the language model is not loaded.
        output: Folder of the feature files.
        tower: Fingerprint of the tower's weights.
        fps: Frames per second.
        gaps: 'keep' takes the frames a live stream takes. 'fill' repeats the frame before a hole
            in the recording, as the published preparation does, so that frame i is at i / fps.
        batch_size: Frames encoded together.
        threads: CPU threads of a worker; 0 leaves it to torch.
    """

    model: ModelConfig
    output: Path
    tower: str
    fps: float = 2.0
    gaps: str = 'keep'
    batch_size: int = 64
    threads: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fps <= 120:
            raise ConfigError(f'--fps: {self.fps} is outside 0 (excluded) to 120')
        if self.gaps not in GAPS:
            raise ConfigError(f'--gaps: {self.gaps!r} is not one of {", ".join(GAPS)}')
        if self.batch_size < 1:
            raise ConfigError(f'--batch: {self.batch_size} is less than 1')


def find_jobs(inputs: Iterable[str | Path], topic: str | None = None) -> list[Job]:
    """List the recordings that `inputs` name, in order.

    A folder that is no recording itself stands for all videos and bags in it, at any depth.

    Raises:
        SourceError: An input is missing or holds nothing; or two recordings share a name.
    """
    jobs: dict[str, Job] = {}
    for name in inputs:
        path = Path(name).expanduser()
        if not path.exists():
            raise SourceError(f'{path}: no such file or folder')
        found = list(_recordings(path))
        if not found:
            raise SourceError(f'{path}: no video, bag or image in this folder')
        for recording in found:
            uid = recording.name if recording.is_dir() else recording.stem
            if uid in jobs:
                raise SourceError(
                    f'{jobs[uid].source} and {recording}: both would become {uid}.safetensors; '
                    'rename one, or use another output folder'
                )
            jobs[uid] = Job(uid, str(recording), topic if _is_bag(recording) else None)
    return list(jobs.values())


def tower_fingerprint(model: ModelConfig) -> str:
    """First digits of the SHA-256 of the vision tower's weights.

    Raises:
        CheckpointError: There are none.
    """
    folder = local_folder('vision', model.vision, model.vision_revision)
    digest = hashlib.sha256()
    weights = sorted(folder.glob('*.safetensors'))
    if not weights:
        raise CheckpointError(f'model.vision {folder}: no *.safetensors in it')
    for path in weights:
        with path.open('rb') as file:
            digest.update(hashlib.file_digest(file, 'sha256').digest())
    return digest.hexdigest()[:16]


def _recordings(path: Path) -> Iterable[Path]:
    if path.is_file() or _is_bag(path):
        return [path]
    members = sorted(path.iterdir())
    if any(member.suffix.lower() in IMAGE_SUFFIXES for member in members):
        return [path]
    return _inside(members)


def _inside(members: Sequence[Path]) -> Iterable[Path]:
    for member in members:
        if member.is_dir():
            yield from _recordings(member)
        elif member.suffix.lower() in VIDEO_SUFFIXES:
            yield member


def _is_bag(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in BAG_SUFFIXES
    return (path / 'metadata.yaml').is_file() or any(
        member.suffix.lower() in BAG_SUFFIXES for member in path.iterdir()
    )
