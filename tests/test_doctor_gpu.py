# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `vlo doctor` finds out about graphics cards and flash-attn, where none need be."""

import dataclasses
import importlib
import sys

import pytest
import torch

from tests.test_doctor import HEALTHY, poor
from vlo_ros.doctor import looking
from vlo_ros.doctor.command import examine
from vlo_ros.doctor.facts import GpuFacts
from vlo_ros.doctor.looking import look_at_gpu

BANNER = """+-----------------------------------------------------------------------------+
| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15    CUDA Version: 12.4     |
+-----------------------------------------------------------------------------+"""
CARDS = ('NVIDIA H100 80GB HBM3', 'NVIDIA GeForce RTX 4090')


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without driver, CUDA and flash-attn, to which a test adds."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    monkeypatch.setenv('PATH', str(folder))
    return Machine(folder, monkeypatch)


class Machine:
    """Its driver, its PyTorch and its packages."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.torch(None)
        real = importlib.util.find_spec
        self.packages = set()
        monkeypatch.setattr(
            importlib.util,
            'find_spec',
            lambda name, package=None: (
                None if name == 'flash_attn' and name not in self.packages else real(name, package)
            ),
        )

    def driver(self, *names, banner=BANNER, status=0):
        """Put an nvidia-smi on the path that answers as the real one does."""
        program = self.folder / 'nvidia-smi'
        listed = '\n'.join(names)
        program.write_text(
            f'#!{sys.executable}\nimport sys\n'
            f'print({listed!r} if "--query-gpu=name" in sys.argv else {banner!r})\n'
            f'sys.exit({status})\n'
        )
        program.chmod(0o755)

    def torch(self, cuda, capability=(9, 0), architectures=('sm_80', 'sm_90'), usable=True):
        """Have PyTorch be built for a CUDA, None for a build without."""

        def ask():
            if isinstance(capability, Exception):
                raise capability
            return capability

        patch = self.monkeypatch.setattr
        patch(torch.version, 'cuda', cuda)
        patch(torch.cuda, 'is_available', lambda: cuda is not None and usable)
        patch(torch.cuda, 'get_arch_list', lambda: list(architectures))
        patch(torch.cuda, 'get_device_capability', ask)

    def flash_attention(self, source):
        """Install a flash_attn of this source."""
        package = self.folder.parent / 'site' / 'flash_attn'
        package.mkdir(parents=True)
        (package / '__init__.py').write_text(source)
        self.monkeypatch.syspath_prepend(str(package.parent))
        self.monkeypatch.setenv('PYTHONPATH', str(package.parent))
        self.packages.add('flash_attn')


def complaints_of(gpu):
    return {
        finding.check: finding for finding in poor(examine(dataclasses.replace(HEALTHY, gpu=gpu)))
    }


def test_a_machine_without_a_driver(machine):
    assert look_at_gpu() == GpuFacts(torch=torch.__version__)
    assert complaints_of(look_at_gpu()) == {}


def test_a_machine_in_order(machine):
    machine.driver(*CARDS)
    machine.torch('12.4')
    machine.flash_attention('__version__ = "2.8.0"')
    assert look_at_gpu() == GpuFacts(
        names=CARDS,
        driver_cuda='12.4',
        torch=torch.__version__,
        torch_cuda='12.4',
        is_usable=True,
        architectures=('sm_80', 'sm_90'),
        capability='sm_90',
        flash_attn='2.8.0',
    )
    assert complaints_of(look_at_gpu()) == {}


def test_a_driver_that_does_not_answer_has_no_cards(machine):
    failed = 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'
    machine.driver(failed, banner=failed, status=9)
    gpu = look_at_gpu()
    assert (gpu.names, gpu.driver_cuda) == ((), '')


def test_pytorch_without_cuda(machine):
    machine.driver(*CARDS)
    gpu = look_at_gpu()
    assert (gpu.names, gpu.torch_cuda, gpu.is_usable) == (CARDS, '', False)
    assert 'CUDA build' in complaints_of(gpu)['GPU'].fix


def test_cuda_newer_than_the_driver(machine):
    machine.driver(*CARDS)
    machine.torch('13.0', usable=False)
    gpu = look_at_gpu()
    assert (gpu.driver_cuda, gpu.torch_cuda) == ('12.4', '13.0')
    assert 'update the driver' in complaints_of(gpu)['GPU'].fix


def test_a_card_that_cannot_be_opened_is_not_the_end(machine):
    machine.driver(*CARDS)
    machine.torch('12.4', capability=RuntimeError('CUDA unknown error'))
    gpu = look_at_gpu()
    assert (gpu.is_usable, gpu.capability, gpu.architectures) == (False, '', ())
    assert 'CUDA_VISIBLE_DEVICES' in complaints_of(gpu)['GPU'].fix


def test_a_card_that_pytorch_has_no_kernels_for(machine):
    machine.driver(*CARDS)
    machine.torch('12.4', capability=(12, 0))
    gpu = look_at_gpu()
    assert gpu.capability == 'sm_120'
    assert 'built for this card' in complaints_of(gpu)['GPU'].fix


@pytest.mark.parametrize(
    ('source', 'why'),
    [
        (
            'raise ImportError("flash_attn_2_cuda.so: undefined symbol")',
            'undefined symbol',
        ),
        ('import os; os.abort()', 'it crashed'),
        ('', '__version__'),
    ],
)
def test_a_flash_attn_that_cannot_be_imported(machine, source, why):
    machine.driver(*CARDS)
    machine.torch('12.4')
    machine.flash_attention(source)
    gpu = look_at_gpu()
    assert gpu.flash_attn.startswith('broken: ')
    assert why in gpu.flash_attn
    found = complaints_of(gpu)
    assert set(found) == {'flash-attn'}
    assert '\n' not in found['flash-attn'].message


def test_a_program_that_hangs_is_given_up(machine):
    sleeps = [sys.executable, '-c', 'import time; time.sleep(60)']
    assert looking._run(sleeps, 1.0) == (124, f'{sys.executable} did not answer in 1 s')
    assert looking._run(['nowhere'], 0.5)[0] == 127
