# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where recordings are encoded: on this machine, on a Ray cluster, or on Slurm. Same result."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from typing import Any

import torch

from training.preprocess.encode import Outcome, process
from training.preprocess.jobs import Job, Settings
from vlo_ros.errors import ConfigError, VloError, one_line

# Recordings of one Slurm array task: enough that loading the tower does not count.
CHUNK = 32
IN_FLIGHT = 4  # tasks that Ray holds for each worker
SLURM_PARAMETERS = {'timeout_min': 240, 'slurm_gpus_per_task': 1, 'slurm_array_parallelism': 64}


class LostError(VloError):
    """A part of the run died with the machine it ran on; a next run does it again."""


def run_here(
    settings: Settings,
    jobs: Sequence[Job],
    workers: int,
    on_frames: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Encode on this machine; with several workers each takes the next GPU there is.

    Args:
        settings: How.
        jobs: What.
        workers: Processes; with 1 this process does it.
        on_frames: Told of every batch, with one worker only.

    Raises:
        LostError: A worker was killed.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield process(settings, job, on_frames)
        return
    context = multiprocessing.get_context('spawn')
    devices: Queue[int] = context.Queue()
    for number in range(workers):
        devices.put(number % max(1, torch.cuda.device_count()))
    with ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_begin_worker, initargs=(devices,)
    ) as pool:
        try:
            running = [pool.submit(process, settings, job) for job in jobs]
            for future in as_completed(running):
                yield future.result()
        except BrokenProcessPool as error:
            raise LostError(
                'a worker was killed (out of memory?); run the command again to go on'
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_on_ray(
    settings: Settings, jobs: Sequence[Job], workers: int, address: str | None = None
) -> Iterator[Outcome]:
    """Encode on a Ray cluster that shares this machine's file system.

    Args:
        settings: How.
        jobs: What.
        workers: Recordings encoded at once.
        address: The cluster; None starts one on this machine or joins RAY_ADDRESS.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "--executor ray: Ray is not installed; pip install 'ray>=2.9'"
        ) from error
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(
                address=address,
                num_cpus=None if address or os.environ.get('RAY_ADDRESS') else workers,
                include_dashboard=False if address is None else None,
                logging_level='ERROR',
                log_to_driver=False,
            )
        except Exception as error:  # a cluster that does not start raises just that
            raise ConfigError(f'--executor ray: {one_line(error)}') from error
    needs_gpu = settings.model.device != 'cpu' and ray.cluster_resources().get('GPU', 0) >= 1
    task = ray.remote(num_cpus=1, num_gpus=int(needs_gpu), max_retries=3)(process)
    waiting = list(reversed(jobs))
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers * IN_FLIGHT:
                running.append(task.remote(settings, waiting.pop()))
            done, running = ray.wait(running)
            for reference in done:
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.as_instanceof_cause() from None
                except ray.exceptions.RayError as error:
                    raise LostError(f'--executor ray: {one_line(error)}') from error
    finally:
        if started:
            ray.shutdown()


def run_on_slurm(
    settings: Settings, jobs: Sequence[Job], parameters: Mapping[str, Any], chunk: int = CHUNK
) -> Iterator[Outcome | LostError]:
    """Encode as a Slurm array of tasks, `chunk` recordings each.

    A task that Slurm stops at its time limit is queued again and goes on behind the last
    recording it finished.

    Args:
        settings: How.
        jobs: What.
        parameters: For submitit, such as slurm_partition; `cluster: local` needs no Slurm.
        chunk: Recordings of one task.

    Yields:
        Outcomes, and what was lost with a task that died.

    Raises:
        ConfigError: submitit is not installed, or there is no Slurm.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            '--executor slurm: submitit is not installed; pip install submitit'
        ) from error
    options = {**SLURM_PARAMETERS, **parameters}
    cluster = options.pop('cluster', 'slurm')
    if settings.model.device == 'cpu':
        options.pop('slurm_gpus_per_task')
    try:
        executor = submitit.AutoExecutor(settings.output / '.slurm', cluster=cluster)
        executor.update_parameters(name='vlo-preprocess', **options)
    except (RuntimeError, ValueError, NameError, TypeError) as error:
        raise ConfigError(f'--executor slurm: {one_line(error)}') from error
    chunks = [jobs[first : first + chunk] for first in range(0, len(jobs), chunk)]
    with executor.batch():
        tasks = [executor.submit(Chunk(), settings, part) for part in chunks]
    for task in submitit.helpers.as_completed(tasks):
        error = task.exception()
        if error is None:
            yield from task.result()
        else:
            yield LostError(f'task {task.job_id}: {one_line(error)}')


class Chunk:
    """A Slurm task; submitit queues it again when its time is up."""

    def __call__(self, settings: Settings, jobs: Sequence[Job]) -> list[Outcome]:
        """Encode recordings one after the other; those that are done are passed over."""
        return [process(settings, job) for job in jobs]

    def checkpoint(self, settings: Settings, jobs: Sequence[Job]) -> Any:
        """What submitit is to queue again: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, settings, jobs)


def _begin_worker(devices: Queue[int]) -> None:
    """Bind a worker to a GPU, and to the life of the process that started it."""
    if torch.cuda.is_available():
        torch.cuda.set_device(devices.get())
    # A pool's worker would wait for work for ever when its parent is killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
