"""Benchmarks: one script per question; README.md holds the figures."""
