"""Benchmarks: one command each; every figure names device, versions and commit."""
