"""Responses as speech: sentences out of growing text, what to say next, voices. Needs no ROS."""
