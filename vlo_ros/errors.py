# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors a person can cause. Each message is one line: what, where, what is accepted.

VloError
  ConfigError        a setting, a YAML file, a command-line value
  CheckpointError    weights, tokenizer or adapter that cannot be used
  TemplateError      a conversation that the template does not allow
  SourceError        a recording or camera image that cannot be read
  CacheFullError     one event needs more positions than the cache has
"""


class VloError(Exception):
    """Base of every error that a person, not a programmer, can cause."""


class ConfigError(VloError, ValueError):
    """A setting is unknown or out of range."""


class CheckpointError(VloError):
    """Weights, tokenizer or adapter are missing, damaged or do not fit together."""


class TemplateError(VloError, ValueError):
    """Two turns stand beside each other that training never saw."""


class SourceError(VloError):
    """A recording or an image cannot be read as what it claims to be."""


class CacheFullError(VloError):
    """One event needs more positions than the KV cache holds."""


def one_line(error: BaseException) -> str:
    """An error's message as one line of bearable length."""
    return ' '.join(str(error).split())[:300] or type(error).__name__
