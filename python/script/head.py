#
#     python3 SCRIPT.py --iterations 50 --device cuda
#
# Tensors that come from outside are made once; what an iteration writes to is put back before the next, unmeasured.

import argparse
import base64
import statistics
import time

import torch

ops = torch.ops


def is_float(dtype):
    return dtype.is_floating_point or dtype.is_complex


def constant(n, dtype, low, high):
    return torch.full((n,), low if is_float(dtype) else int(low), dtype=dtype)


def uniform(n, dtype, low, high):
    if is_float(dtype):
        return (torch.rand(n) * (high - low) + low).to(dtype)
    return torch.randint(int(low), max(int(low) + 1, int(high)), (n,)).to(dtype)


def ramp(n, dtype, low, high):
    return (int(low) + torch.arange(n) * int(high - low) // max(1, n)).to(dtype)


def offsets(n, dtype, low, high):
    return (int(low) + torch.arange(n) * int(high - low) // max(1, n - 1)).to(dtype)


def mask(n, dtype, low, high):
    return (torch.randperm(n) < high).to(dtype)


def covers_range(n, dtype, low, high):
    return (int(high) - 1 - torch.randperm(n) * int(high) // max(1, n)).to(dtype)


def partition(n, dtype, low, high):
    edges = torch.arange(n + 1) * int(high) // max(1, n)
    return (edges[1:] - edges[:-1]).to(dtype)


def lengths(n, dtype, low, high, total=0):
    rest, others = max(0, int(total) - int(high)), max(1, n - 1)
    shares = [int(high)] + [min(int(high), rest // others + (i < rest % others)) for i in range(n - 1)]
    return torch.tensor(shares[:n]).to(dtype)


def permutation(n, dtype, low, high, row=0):
    row = max(1, int(row) or n)
    return torch.cat([torch.randperm(row) for _ in range(-(-n // row))])[:n].to(dtype)


def zipf(n, dtype, low, high, exponent=1.0):
    count = int(high - low)
    sums = torch.cumsum(1.0 / torch.arange(1, count + 1, dtype=torch.float64) ** exponent, 0)
    ranks = torch.searchsorted(sums, torch.rand(n, dtype=torch.float64) * sums[-1]).clamp(max=count - 1)
    return (int(low) + torch.randperm(count)[ranks]).to(dtype)


def dominant(n, dtype, low, high, rows=1):
    rows = int(rows)
    values = (torch.rand(n) * (high - low) + low).view(-1, rows, rows)
    return (values + torch.diag_embed(values.abs().sum(2) + 1)).flatten().to(dtype)


def recorded(text, dtype):
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype)
