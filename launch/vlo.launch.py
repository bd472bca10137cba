# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the node `vlo` on a camera topic, configured and activated.

ros2 launch vlo_ros vlo.launch.py image:=/camera/image_raw model:=config/models/X.yaml
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessStart
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from vlo_ros.fast_dds import LARGE_DATA, TRANSPORTS

CONFIG = Path(__file__).resolve().parent.parent / 'config'

ARGUMENTS = {
    'image': ('image', 'camera topic; the compressed one follows it'),
    'transport': ('raw', 'raw or compressed'),
    'model': ('', 'model YAML, or bundled; empty leaves it to the parameter file'),
    'params': (str(CONFIG / 'vlo.yaml'), 'parameter file'),
    'namespace': ('', 'namespace of the node'),
    'threshold': ('', 'silence threshold, 0 to 1; empty leaves it to the model'),
    'use_sim_time': ('false', 'follow /clock, as when a bag is replayed with --clock'),
    'autostart': ('true', 'configure and activate; false leaves that to a lifecycle manager'),
    'respawn': ('true', 'start the node again when its process ends'),
    'large_data': (
        'false',
        'true lets Fast DDS pass large best-effort images; the camera must run with the same '
        'FASTDDS_BUILTIN_TRANSPORTS',
    ),
}
RESPAWN_DELAY_S = 1.0


def start(context):
    """Build the actions from the arguments' values."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {
        'use_sim_time': given['use_sim_time'].lower() == 'true',
        'image_transport': given['transport'],
    }
    if given['model']:
        parameters['model'] = given['model']
    if given['threshold']:
        parameters['silence_threshold'] = float(given['threshold'])
    node = LifecycleNode(
        package='vlo_ros',
        executable='vlo_node',
        name='vlo',
        namespace=given['namespace'],
        parameters=[given['params'], parameters],
        remappings=[('image', given['image'])],
        output='screen',
        respawn=given['respawn'].lower() == 'true',
        respawn_delay=RESPAWN_DELAY_S,
    )
    actions = [node]
    if given['autostart'].lower() == 'true':
        actions.insert(0, autostart(node))  # first, or the start of the node is missed
    if given['large_data'].lower() == 'true':
        actions.insert(0, SetEnvironmentVariable(TRANSPORTS, LARGE_DATA))
    return actions


def autostart(node):
    """Have `node` configured and activated whenever its process starts."""

    def bring_up(event, context):
        return [
            Node(
                package='vlo_ros',
                executable='bring_up',
                arguments=['--node', node.node_name],
                output='screen',
            )
        ]

    return RegisterEventHandler(OnProcessStart(target_action=node, on_start=bring_up))


def generate_launch_description():
    """Return the arguments and what follows from them."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )
