# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command: kill -9 in the middle of writing, a second run beside it, only an index."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.training.killed import check_killed_equals_whole
from tests.training.preprocess.conftest import MODEL_YAML
from training.preprocess.__main__ import app

ROOT = Path(__file__).parents[3]
# Tells when the second file is being written, and waits to be killed.
CHILD = """
import os, sys
count = 0
fsync = os.fsync
def told(number):
    global count
    count += 1
    if count == 2:
        print('writing', flush=True)
        sys.stdin.read()
    fsync(number)
os.fsync = told
from training.preprocess.__main__ import app
app()
"""


def arguments(recordings: Path, output: Path) -> list[str]:
    return [
        str(recordings),
        *('--model', str(MODEL_YAML), '--device', 'cpu', '--threads', '1'),
        *('--output', str(output)),
    ]


def test_a_killed_run_leaves_no_half_file_and_goes_on(recordings, tmp_path):
    whole = CliRunner().invoke(app, arguments(recordings, tmp_path / 'whole'))
    assert whole.exit_code == 0, whole.output

    output = tmp_path / 'killed'
    child = subprocess.Popen(
        [sys.executable, '-c', CHILD, *arguments(recordings, output)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout.readline() == b'writing\n'
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert len(list(output.glob('*.safetensors'))) == 1
    assert len(list(output.glob('.*.partial'))) == 1

    again = CliRunner().invoke(app, arguments(recordings, output))
    assert again.exit_code == 0, again.output
    assert '1 were done' in again.output
    assert not list(output.glob('.*.partial'))
    names = sorted(path.name for path in (tmp_path / 'whole').glob('*.safetensors'))
    assert names == sorted(path.name for path in output.glob('*.safetensors'))
    for name in names:
        assert load_file(output / name).keys() == {'features', 'stamps_ns'}
        assert (output / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes(), name
    reports = [
        json.loads((tmp_path / f'{n}_report.json').read_text()) for n in ('whole', 'killed')
    ]
    assert reports[0] == reports[1]


def test_an_official_folder_is_indexed_without_a_model(tmp_path):
    official = tmp_path / 'full_scale_2fps_384_1'
    missing = CliRunner().invoke(app, ['--output', str(official)])
    assert missing.exit_code == 1 and 'no such folder' in missing.output
    official.mkdir()
    torch.save(torch.zeros(9, 1, 48), official / 'uid.pt')
    result = CliRunner().invoke(app, ['--output', str(official)])
    assert result.exit_code == 0, result.output
    entries = json.loads((tmp_path / 'full_scale_2fps_384_1_metadata.json').read_text())
    assert entries == {'uid': {'duration': 4.0, 'path': str(official / 'uid.pt')}}


def test_a_second_run_in_the_same_folder_is_refused(recordings, tmp_path):
    import fcntl

    (tmp_path / 'busy').mkdir()
    with (tmp_path / 'busy' / '.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = CliRunner().invoke(app, arguments(recordings, tmp_path / 'busy'))
    assert result.exit_code == 1
    assert 'another run' in result.output


@pytest.mark.timeout(900)  # programs start slowly on a busy machine
def test_a_run_killed_at_any_moment_ends_the_same(recordings, tmp_path):
    folder = tmp_path / 'made'
    folder.mkdir()
    given = arguments(recordings, folder / 'features')

    def whole() -> None:
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, result.output

    def result() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}

    check_killed_equals_whole(folder, 'training.preprocess', given, whole, result)
