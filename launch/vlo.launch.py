"""Start the node `vlo` on a camera topic, configured and activated.

ros2 launch vlo_ros vlo.launch.py image:=/camera/image_raw model:=config/models/X.yaml
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

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
    'large_data': (
        'false',
        'true lets Fast DDS pass large best-effort images; the camera must run with the same '
        'FASTDDS_BUILTIN_TRANSPORTS',
    ),
}
# Images above 0.5 MB are nearly all lost on the default transport of Fast DDS.
LARGE_DATA = 'LARGE_DATA?max_msg_size=2MB&sockets_size=2MB&non_blocking=true'


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
    )
    actions = [node]
    if given['large_data'].lower() == 'true':
        actions.insert(0, SetEnvironmentVariable('FASTDDS_BUILTIN_TRANSPORTS', LARGE_DATA))
    if given['autostart'].lower() == 'true':
        actions += autostart(node)
    return actions


def autostart(node):
    """Configure `node`, and activate it once it is configured."""

    def change(transition_id):
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(node), transition_id=transition_id
            )
        )

    activate = RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='configuring',
            goal_state='inactive',
            entities=[change(Transition.TRANSITION_ACTIVATE)],
        )
    )
    return [activate, change(Transition.TRANSITION_CONFIGURE)]


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
