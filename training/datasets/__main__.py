# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a data set's samples as JSON: `python -m training.datasets NAME --root DIR --output F`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import typer

from training.datasets import DATASETS, Sample, build
from training.whole_files import write_json
from vlo_ros.errors import VloError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=f'Write the samples of a data set. NAME: {", ".join(DATASETS)}.')
def main(
    name: Annotated[str, typer.Argument(metavar='NAME', help='which data set')],
    root: Annotated[Path, typer.Option(help='folder that holds the published tree datasets/...')],
    output: Annotated[Path, typer.Option(help='JSON file to write')],
    split: Annotated[str, typer.Option(help='train, val or test')] = 'train',
    fps: Annotated[float, typer.Option(help='frames per second')] = 2,
    official: Annotated[
        bool, typer.Option('--official', help='keep the bugs of the official builders')
    ] = False,
    loaded: Annotated[
        bool,
        typer.Option(
            '--loaded',
            help='ready to use: instruction drawn, answer to a test removed',
        ),
    ] = False,
    augmentation: Annotated[
        bool, typer.Option('--augmentation', help='one wrong response; implies --loaded')
    ] = False,
    max_num_frames: Annotated[
        int | None, typer.Option(min=0, help='cut longer streams; implies --loaded')
    ] = None,
    seed: Annotated[int, typer.Option(help='of every draw')] = 0,
    embed_mark: Annotated[
        str | None, typer.Option(help='which features, such as 2fps_384_1+3x3')
    ] = None,
) -> None:
    """Build a data set and write it, or say in one line why it cannot be built."""
    rng = random.Random(seed)
    try:
        samples = build(
            name, root, split, fps=fps, official=official, rng=rng, embed_mark=embed_mark
        )
        if loaded or augmentation or max_num_frames is not None:
            written = [
                _as_json(
                    sample,
                    *sample.load(
                        rng,
                        max_num_frames=max_num_frames,
                        augmentation=augmentation,
                        official=official,
                    ),
                )
                for sample in samples
            ]
        else:
            written = [
                _as_json(sample, list(sample.conversation), sample.load_ranges)
                for sample in samples
            ]
        write_json(output, written)
    except VloError as error:
        typer.echo(f'error: {error}', err=True)
        raise typer.Exit(1) from None
    typer.echo(f'{len(written)} samples of {name} {split} in {output}')


def _as_json(sample: Sample, conversation: list[Any], load_ranges: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        'conversation': conversation,
        'load_ranges': {file: list(frames) for file, frames in load_ranges.items()},
    }
    if sample.frames is not None:
        fields['frames'] = dict(sample.frames)
    return fields


if __name__ == '__main__':
    app()
