# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that replays a recording, or shows the rendered world, and the node that watches it.

ros2 launch vlo_ros demo.launch.py source:=kitchen.mcap
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from vlo_ros.fast_dds import LARGE_DATA, TRANSPORTS

ARGUMENTS = {
    'source': ('rendered:3', 'bag, video, image folder, .npz, or rendered:SEED'),
    'model': ('bundled', 'model YAML, or bundled'),
    'threshold': ('', 'silence threshold, 0 to 1; empty leaves it to the model'),
    'namespace': ('', 'namespace of both nodes'),
}


def generate_launch_description():
    """Return the two nodes and what they take."""
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    camera = Node(
        package='vlo_ros',
        executable='camera',
        name='camera',
        namespace=given['namespace'],
        parameters=[
            {
                'source': given['source'],
                'stamps': 'now',
                'loop': True,
                'wait_for_subscribers': 1,
            }
        ],
        output='screen',
    )
    vlo = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).resolve().parent / 'vlo.launch.py')),
        launch_arguments={
            name: given[name] for name in ('model', 'threshold', 'namespace')
        }.items(),
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            SetEnvironmentVariable(TRANSPORTS, LARGE_DATA),
            camera,
            vlo,
        ]
    )
