"""Recordings to frame features: `python -m training.preprocess INPUTS... --output DIR`.

    find_jobs -> executor (this machine, Ray, Slurm) -> Encoder -> one feature file each -> index

Every file is written whole or not at all, so a run that was killed is simply started again.
"""
