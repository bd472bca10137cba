# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo annotate`: joins bag, model and copy; tells a person how it goes."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from vlo_ros.annotate import STORAGES, judge, write_annotated
from vlo_ros.checkpoint import load_model
from vlo_ros.config import VloConfig
from vlo_ros.errors import ConfigError, SourceError
from vlo_ros.replay import ReplayEvent, read_queries
from vlo_ros.sources.bag import BagRecording


def run_annotate(
    bag: Path,
    config: VloConfig,
    output: Path,
    queries_path: Path | None,
    topic: str | None,
    node: str,
    storage: str,
) -> None:
    """Write the annotated copy.

    Args:
        bag: Folder with metadata.yaml, .mcap or .db3.
        config: Model and stream.
        output: Folder of the copy; must not exist.
        queries_path: JSON lines of what to ask.
        topic: Image topic, None for the only one.
        node: In front of the added topics.
        storage: 'mcap', 'sqlite3', or '' for what the bag has.

    Raises:
        VloError: As it says; no half copy is left behind.
    """
    # All that may be wrong with the arguments is found before the weights are loaded.
    if storage and storage not in STORAGES:
        raise ConfigError(f'--storage: {storage!r} is not one of {", ".join(STORAGES)}')
    if not bag.exists():
        raise SourceError(f'{bag}: no such bag')
    if bag.is_dir() and not (bag / 'metadata.yaml').exists():
        raise SourceError(f'{bag}: has no metadata.yaml; `ros2 bag reindex {bag}` makes it')
    if output.exists():
        raise SourceError(f'--output {output}: exists already')
    queries = read_queries(queries_path) if queries_path is not None else []
    recording = BagRecording(bag, topic)
    if recording.is_damaged:
        raise SourceError(f'{bag}: is cut off or damaged; `ros2 bag reindex` may mend it')
    model = load_model(config.model)
    with Console(stderr=True).status('judging') as status:

        def show(event: ReplayEvent) -> None:
            status.update(f'judging: {event["time"]:.1f} s')

        judgements = judge(recording, queries, model, config.stream, show)
        status.update('writing')
        counts = write_annotated(
            bag,
            recording.topic,
            output,
            judgements,
            config.stream.silence_threshold,
            node if node.startswith('/') else f'/{node}',
            storage or _storage_of(bag),
        )
    typer.secho(
        f'vlo: {output}: {counts.copied} messages copied; {counts.decisions} decisions and '
        f'pictures, {counts.responses} responses added',
        dim=True,
        err=True,
    )


def _storage_of(bag: Path) -> str:
    names = [bag.name] if bag.is_file() else [member.name for member in bag.iterdir()]
    return 'sqlite3' if any(name.endswith('.db3') for name in names) else 'mcap'
