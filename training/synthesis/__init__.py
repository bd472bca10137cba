# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Narrations and step lists to streaming dialogue, by any language model.

    prompts (YAML) -> requests -> Cache -> Engine (endpoint or transformers) -> parse -> filter

Every answer is kept under the digest of its request, so a run that was killed asks only for what
is missing, and the same seed gives the same files.
"""
