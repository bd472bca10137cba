# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `vlo doctor` finds out about processes, shared memory and the model."""

import os
from pathlib import Path

import pytest

from vlo_ros.doctor import looking
from vlo_ros.doctor.looking import count_litter, look_at_model, look_for_domains, probe_graph
from vlo_ros.errors import ConfigError


@pytest.fixture
def machine(tmp_path):
    """Five files in shared memory, one of which a process holds: one is left behind."""
    shm, proc = tmp_path / 'shm', tmp_path / 'proc'
    (proc / '12').mkdir(parents=True)
    shm.mkdir()
    for name in ('fastdds_aa', 'fastdds_aa_el', 'fastdds_bb', 'fastdds_bb_el', 'other'):
        (shm / name).touch()
    (proc / '12' / 'maps').write_text(f'7f00 rw-s 00 {shm}/fastdds_aa\n')
    return shm, proc


def test_a_bad_model_yaml_is_a_finding_and_not_the_end():
    assert look_at_model('x.yaml', ConfigError('model YAML x.yaml: gone')).error.endswith('gone')


def test_litter_is_what_no_process_maps(machine):
    assert count_litter(*machine) == 1
    assert count_litter(Path('/nowhere'), machine[1]) == 0


def test_litter_of_other_users_is_not_counted(machine, monkeypatch):
    own = os.getuid()
    monkeypatch.setattr(os, 'getuid', lambda: own + 1)
    assert count_litter(*machine) == 0


def test_a_process_that_cannot_be_read_may_hold_what_seems_left(machine):
    shm, proc = machine
    (proc / '13' / 'maps').mkdir(parents=True)  # cannot be read, not even by root
    assert count_litter(shm, proc) is None
    (proc / '12' / 'maps').write_text(f'{shm}/fastdds_aa\n{shm}/fastdds_bb\n')
    assert count_litter(shm, proc) == 0


def test_what_cannot_be_read_of_the_first_process_does_not_matter(machine):
    shm, proc = machine
    (proc / '1' / 'maps').mkdir(parents=True)
    assert count_litter(shm, proc) == 1


def test_a_process_that_ended_meanwhile_holds_nothing(machine, monkeypatch):
    shm, proc = machine
    (proc / '13').mkdir()
    (proc / '13' / 'maps').touch()
    real = Path.read_text

    def read(path, **options):
        if path.parent.name == '13':
            raise ProcessLookupError
        return real(path, **options)

    monkeypatch.setattr(Path, 'read_text', read)
    assert count_litter(shm, proc) == 1


def test_domains_of_other_processes_are_seen(tmp_path):
    for pid, environ in (('12', b'A=1\0ROS_DOMAIN_ID=42\0'), ('13', b'B=2\0')):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / 'environ').write_bytes(environ)
    assert look_for_domains(tmp_path) == {'42'}


@pytest.mark.parametrize('listen_s', [0.2, 2.0, 60.0])
def test_the_graph_may_be_listened_to_as_long_as_was_asked_for(listen_s, monkeypatch):
    """Four times over: for the first image and for the rate, best effort and reliably."""
    limits = []

    def run(command, timeout_s):
        assert command[-1] == str(listen_s)
        limits.append(timeout_s)
        return 0, '{}'

    monkeypatch.setattr(looking, '_run', run)
    assert probe_graph('/image', '/vlo', listen_s) == ({}, '')
    assert limits[0] >= 4 * listen_s + 30
