# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered egocentric world whose annotations are exact. Knows nothing of ROS or torch.

episode = Episode(seed=3, split='new')
for time, picture in episode.frames(fps=2, size=96): ...   # endless; (96, 96, 3) uint8 RGB
episode.narrations(0, 60)      # Narration(time, text, ego4d_text), at the visible evidence
episode.state_at(12.5)         # State: held things, station, action, target, last event
episode.questions(12.5)        # Question(time, kind, text, answer), all with one true answer
episode.steps(60)              # goals and steps
"""

from vlo_ros.rendered_world.episode import Episode, Narration, State
from vlo_ros.rendered_world.questions import Question

__all__ = ['Episode', 'Narration', 'Question', 'State']
