"""Mystique turns a PyTorch execution trace into a benchmark that anyone can run. This package has the command `mystique`."""
