# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each executor does the same work: spawned processes, a Ray cluster, submitit."""

import importlib.util

import pytest

from training.preprocess.executors import LostError, run_here, run_on_ray, run_on_slurm
from training.preprocess.jobs import find_jobs
from vlo_ros.errors import ConfigError

EXPECTED = {'cut', 'hole', 'long', 'nonsense', 'twice', 'whole'}


def summary(outcomes) -> dict[str, tuple[int, bool]]:
    return {
        outcome.job.uid: (outcome.header.num_frames if outcome.header else 0, bool(outcome.damage))
        for outcome in outcomes
    }


@pytest.fixture
def here(settings, recordings):
    """What this process makes of the recordings, before anything else is written."""
    made = settings(threads=1)
    found = summary(run_here(made, find_jobs([recordings]), workers=1))
    assert set(found) == EXPECTED
    for path in made.output.glob('*.safetensors'):
        path.unlink()
    return found


def test_spawned_workers(settings, recordings, here):
    assert summary(run_here(settings(threads=1), find_jobs([recordings]), workers=2)) == here


@pytest.mark.filterwarnings('ignore')  # Ray's own, about its future
@pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='ray is not installed')
def test_a_ray_cluster_on_this_machine(settings, recordings, here):
    try:
        found = summary(run_on_ray(settings(threads=1), find_jobs([recordings]), workers=1))
    except ConfigError as error:
        if 'timed out during startup' in str(error):
            pytest.skip('this machine is too busy for Ray to start within the 30 s it allows')
        raise
    assert found == here


@pytest.mark.filterwarnings('ignore')  # submitit's own, about forking
@pytest.mark.skipif(importlib.util.find_spec('submitit') is None, reason='submitit not installed')
def test_submitit_with_its_local_executor(settings, recordings, here):
    results = list(
        run_on_slurm(settings(threads=1), find_jobs([recordings]), {'cluster': 'local'}, chunk=4)
    )
    assert not [result for result in results if isinstance(result, LostError)]
    assert summary(results) == here


@pytest.mark.skipif(importlib.util.find_spec('submitit') is None, reason='submitit not installed')
def test_without_slurm_the_error_is_one_line(settings, recordings):
    with pytest.raises(ConfigError, match='--executor slurm'):
        list(run_on_slurm(settings(), find_jobs([recordings]), {}))
