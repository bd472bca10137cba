# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under SROS2, enforced: who has an enclave of the policy may what it says, no more.

Needs sros2, the ros2 command line, and a DDS with its security libraries; the wheels have none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ros.graph import TINY_MODEL
from tests.ros.processes import START_S, process

POLICY = Path(__file__).resolve().parents[2] / 'security' / 'vlo.policy.xml'
NOT_BUILT_IN = 'have the security libraries'  # rmw_fastrtps, when a node is made


@pytest.fixture
def secured(tmp_path):
    """Environment of everything that runs under the policy, in a domain of its own."""
    pytest.importorskip('sros2', reason='sros2 is not installed')
    if shutil.which('ros2') is None:
        pytest.skip('the ros2 command line is not installed')
    # Permissions are for the names of the policy and one domain: not that of other tests.
    domain = str(101 + int(os.environ['ROS_DOMAIN_ID']) % 101)
    keys = tmp_path / 'keys'
    environment = {**os.environ, 'ROS_DOMAIN_ID': domain}
    for command in (['create_keystore', keys], ['generate_artifacts', '-k', keys, '-p', POLICY]):
        subprocess.run(['ros2', 'security', *command], env=environment, check=True)
    return {
        'ROS_DOMAIN_ID': domain,
        'ROS_SECURITY_KEYSTORE': str(keys),
        'ROS_SECURITY_ENABLE': 'true',
        'ROS_SECURITY_STRATEGY': 'Enforce',
    }


def run_in(enclave, argv, environment):
    """Run a program in an enclave; its exit status, and what it said."""
    settings = {**os.environ, **environment, 'ROS_SECURITY_ENCLAVE_OVERRIDE': enclave}
    done = subprocess.run(argv, env=settings, timeout=START_S, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if NOT_BUILT_IN in said:
        pytest.skip('this DDS is built without its security libraries')
    return done.returncode, said


@pytest.mark.timeout(900)
def test_each_enclave_may_what_the_policy_says(secured, tmp_path):
    log = tmp_path / 'vlo.log'
    node = [sys.executable, '-m', 'vlo_ros.ros.vlo_node', '--ros-args', '--enclave', '/vlo']
    ask = [sys.executable, '-m', 'tests.ros.secured_chat']
    with process([*node, '-p', f'model:={TINY_MODEL}'], log, **secured):
        for transition in ('configure', 'activate'):
            argv = ['ros2', 'lifecycle', 'set', '/vlo', transition, '--no-daemon']
            status, said = run_in('/vlo_operator', argv, secured)
            assert status == 0, said + log.read_text()
        status, said = run_in('/vlo_person', ask, secured)
        assert status == 0, said
        # The operator moves the node, and may ask it nothing.
        status, _ = run_in('/vlo_operator', ask, secured)
        assert status != 0
