# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings to frame features: `python -m training.preprocess INPUTS... --output DIR`.

    find_jobs -> executor (this machine, Ray, Slurm) -> Encoder -> one feature file each -> index

Every file is written whole or not at all, so a run that was killed is simply started again.
"""
