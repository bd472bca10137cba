# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the few names of launch and launch_ros that our launch files use.

The wheels carry no launch. This is not it: it resolves arguments, collects the processes with the
argv that the real one builds, and knows what follows the start of a process. For tests alone.
"""

import contextlib
import importlib.util
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context):
        return context.arguments[self.name]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str
    description: str = ''

    def run(self, context):
        context.arguments.setdefault(self.name, resolve(self.default_value, context))


@dataclass
class SetEnvironmentVariable:
    name: str
    value: str

    def run(self, context):
        context.environment[self.name] = resolve(self.value, context)


@dataclass
class OpaqueFunction:
    function: object

    def run(self, context):
        run_all(self.function(context), context)


@dataclass
class LaunchDescription:
    entities: list

    def run(self, context):
        run_all(self.entities, context)


@dataclass
class PythonLaunchDescriptionSource:
    path: str


class IncludeLaunchDescription:
    def __init__(self, source, launch_arguments=()):
        self.source, self.launch_arguments = source, list(launch_arguments)

    def run(self, context):
        for name, value in self.launch_arguments:
            context.arguments[name] = resolve(value, context)
        load(self.source.path).generate_launch_description().run(context)


@dataclass(eq=False)
class Node:
    package: str
    executable: str
    name: str = ''
    namespace: object = ''
    parameters: list = field(default_factory=list)
    remappings: list = field(default_factory=list)
    arguments: list = field(default_factory=list)
    output: str = 'log'
    respawn: bool = False
    respawn_delay: float = 0.0
    node_name: str = field(default='', init=False)  # known once it was run

    def run(self, context):
        argv = [self.executable, *self.arguments, '--ros-args']
        if self.name:
            argv += ['-r', f'__node:={self.name}']
        namespace = '/' + str(resolve(self.namespace, context)).strip('/')
        if namespace != '/':
            argv += ['-r', f'__ns:={namespace}']
        self.node_name = f'{namespace.rstrip("/")}/{self.name}'
        for parameters in self.parameters:
            argv += ['--params-file', self._file_of(parameters, context)]
        for source, target in self.remappings:
            argv += ['-r', f'{source}:={resolve(target, context)}']
        context.processes.append((self, argv, dict(context.environment)))

    @staticmethod
    def _file_of(parameters, context):
        if not isinstance(parameters, dict):
            return str(resolve(parameters, context))
        values = {name: resolve(value, context) for name, value in parameters.items()}
        path = context.folder / f'launch_params_{len(list(context.folder.iterdir()))}'
        path.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
        return str(path)


class LifecycleNode(Node):
    pass


@dataclass
class OnProcessStart:
    target_action: Node
    on_start: object


@dataclass
class RegisterEventHandler:
    handler: OnProcessStart

    def run(self, context):
        context.handlers.append(self.handler)


MODULES = {
    'launch': (LaunchDescription,),
    'launch.actions': (
        DeclareLaunchArgument,
        IncludeLaunchDescription,
        OpaqueFunction,
        RegisterEventHandler,
        SetEnvironmentVariable,
    ),
    'launch.event_handlers': (OnProcessStart,),
    'launch.substitutions': (LaunchConfiguration,),
    'launch.launch_description_sources': (PythonLaunchDescriptionSource,),
    'launch_ros': (),
    'launch_ros.actions': (Node, LifecycleNode),
}


@dataclass
class Context:
    """What a launch file comes to.

    Attributes:
        processes: (node, argv, environment) in order.
        handlers: What to do when a process has started.
    """

    folder: Path
    arguments: dict
    environment: dict = field(default_factory=dict)
    processes: list = field(default_factory=list)
    handlers: list = field(default_factory=list)


def resolve(value, context):
    return value.perform(context) if isinstance(value, LaunchConfiguration) else value


def run_all(entities, context):
    for entity in entities:
        entity.run(context)


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem.replace('.', '_'), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def standing_in():
    """Have `import launch` and `import launch_ros` find the stand-in for a while."""
    mine = {}
    for name, members in MODULES.items():
        mine[name] = types.ModuleType(name)
        for member in members:
            setattr(mine[name], member.__name__, member)
    before = {name: sys.modules.get(name) for name in mine}
    sys.modules.update(mine)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def launch(path, folder, **arguments):
    """Evaluate a launch file as `ros2 launch PATH name:=value` would."""
    context = Context(folder, arguments)
    with standing_in():
        load(path).generate_launch_description().run(context)
    return context
