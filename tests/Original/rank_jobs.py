#!/usr/bin/env python3
"""Jobs of several ranks: plain PyTorch on Gloo, nothing of Mystique's. Each is a way in which ranks talk while they train.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python3 rank_jobs.py ddp

or by start_ranks.py, or by Slurm's srun with MASTER_ADDR and MASTER_PORT set. They run on PyTorch 1.13 and newer, print
nothing, and end an iteration with their optimizer's step.
"""
import argparse
import json
import os
import time

import torch
import torch.distributed as dist
from torch import nn


size_of_jobs = 1
"""Layers are as many times as wide, with as many rows as its square: at 1 most iterations are of 5 to 20 ms, at 2 of 50 to 200."""


def wide(width):
    return width * size_of_jobs


def many(rows):
    return rows * size_of_jobs ** 2


def layers(count, width):
    return nn.Sequential(*[layer for _ in range(count) for layer in (nn.Linear(width, width), nn.ReLU())])


def ddp(rank, size):
    """Data parallel: buckets of gradients are reduced while the backward pass goes on."""
    model = nn.parallel.DistributedDataParallel(layers(6, wide(512)), bucket_cap_mb=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    data, target = torch.rand(many(24), wide(512)), torch.rand(many(24), wide(512))

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.mse_loss(model(data), target).backward()
        optimizer.step()
    return step


class ShardedAdam(torch.optim.Optimizer):
    """Adam of which each rank keeps the state for its shard of the parameters, as ZeRO-1: shards are updated, then exchanged."""

    def __init__(self, model, rank, size):
        parameters = list(model.parameters())
        super().__init__(parameters, {})
        length = -(-sum(p.numel() for p in parameters) // size)
        self.flat, self.gradient = torch.zeros(length * size), torch.zeros(length * size)
        self.size, at = size, 0
        for parameter in parameters:
            self.flat[at:at + parameter.numel()] = parameter.detach().flatten()
            parameter.data = self.flat[at:at + parameter.numel()].view_as(parameter)
            parameter.grad = self.gradient[at:at + parameter.numel()].view_as(parameter)
            at += parameter.numel()
        self.shard = nn.Parameter(self.flat.chunk(size)[rank].clone())
        self.shard.grad = self.gradient.chunk(size)[rank]
        self.inner = torch.optim.Adam([self.shard], lr=1e-4)

    def zero_grad(self, set_to_none=False):
        self.gradient.zero_()

    @torch.no_grad()
    def step(self, closure=None):
        dist.all_reduce(self.gradient)
        self.gradient /= self.size
        self.inner.step()
        dist.all_gather(list(self.flat.chunk(self.size)), self.shard.detach())


def sharded(rank, size):
    """Each rank keeps the optimizer's state of a part of the parameters, and gathers the others' updates."""
    model = layers(6, wide(384))
    optimizer = ShardedAdam(model, rank, size)
    data, target = torch.rand(many(64), wide(384)), torch.rand(many(64), wide(384))

    def step():
        optimizer.zero_grad()
        nn.functional.mse_loss(model(data), target).backward()
        optimizer.step()
    return step


def pipeline(rank, size, parts=4):
    """Each rank is a stage: four parts of the batch go forward through all stages, then back."""
    rows, width = many(32), wide(256)
    model = layers(4, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch, target = torch.rand(parts, rows, width), torch.rand(parts, rows, width)
    first, last = rank == 0, rank == size - 1

    def forward():
        inputs = list(batch) if first else [torch.empty(rows, width, requires_grad=True) for _ in range(parts)]
        arriving = [] if first else [dist.irecv(one.detach(), rank - 1) for one in inputs]
        results, leaving = [], []
        for part, one in enumerate(inputs):
            if not first:
                arriving[part].wait()
            result = model(one)
            if last:
                result = nn.functional.mse_loss(result, target[part]) / parts
            else:
                leaving.append(dist.isend(result.detach(), rank + 1))
            results.append(result)
        for work in leaving:
            work.wait()
        return inputs, results

    def step():
        optimizer.zero_grad(set_to_none=True)
        inputs, results = forward()
        leaving = []
        for one, result in zip(inputs, results):
            if last:
                result.backward()
            else:
                gradient = torch.empty_like(result)
                dist.recv(gradient, rank + 1)
                result.backward(gradient)
            if not first:
                leaving.append(dist.isend(one.grad, rank - 1))
        for work in leaving:
            work.wait()
        optimizer.step()
    return step


class Exchange(torch.autograd.Function):
    """Gives each rank its rows; the gradients go back the same way."""

    @staticmethod
    def forward(context, rows, gives, gets):
        context.splits = gives, gets
        result = rows.new_empty(sum(gets), rows.shape[1])
        dist.all_to_all_single(result, rows.contiguous(), gets, gives)
        return result

    @staticmethod
    def backward(context, gradient):
        gives, gets = context.splits
        result = gradient.new_empty(sum(gives), gradient.shape[1])
        dist.all_to_all_single(result, gradient.contiguous(), gives, gets)
        return result, None, None


def uneven(rank, size):
    """A mixture of experts, one on each rank: rows go to the experts and come back, more to some than to others."""
    width = wide(256)
    gives = [many(16) * (1 + (3 * rank + 5 * other) % 7) for other in range(size)]
    gets = [many(16) * (1 + (3 * other + 5 * rank) % 7) for other in range(size)]
    before, expert, after = nn.Linear(width, width), layers(3, width), nn.Linear(width, width)
    shared = [*before.parameters(), *after.parameters()]
    optimizer = torch.optim.SGD([*shared, *expert.parameters()], lr=1e-3, momentum=0.9)
    data, target = torch.rand(sum(gives), width), torch.rand(sum(gives), width)

    def step():
        optimizer.zero_grad(set_to_none=True)
        rows = Exchange.apply(torch.relu(before(data)), gives, gets)
        rows = Exchange.apply(expert(rows), gets, gives)
        nn.functional.mse_loss(after(rows), target).backward()
        reduced = [dist.all_reduce(parameter.grad, async_op=True) for parameter in shared]
        for parameter, work in zip(shared, reduced):
            work.wait()
            parameter.grad /= size
        optimizer.step()
    return step


class Shared(torch.autograd.Function):
    """Takes what all of a group have; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context, value, group):
        context.group = group
        return value.view_as(value)

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.contiguous()
        dist.all_reduce(gradient, group=context.group)
        return gradient, None


class Summed(torch.autograd.Function):
    """The sum over a group; each has the same gradient."""

    @staticmethod
    def forward(context, value, group):
        value = value.contiguous()
        dist.all_reduce(value, group=group)
        return value

    @staticmethod
    def backward(context, gradient):
        return gradient, None


def mesh(rank, size, blocks=3):
    """Tensor parallel in rows of two ranks, data parallel in columns."""
    width = wide(256)
    rows = [dist.new_group([first, first + 1]) for first in range(0, size, 2)]
    columns = [dist.new_group(list(range(place, size, 2))) for place in range(2)]
    row, column = rows[rank // 2], columns[rank % 2]
    halves = nn.ModuleList([nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width, bias=False)]) for _ in range(blocks)])
    optimizer = torch.optim.SGD(halves.parameters(), lr=1e-3)
    data, target = torch.rand(many(48), width), torch.rand(many(48), width)

    def step():
        optimizer.zero_grad(set_to_none=True)
        x = data
        for first, second in halves:
            x = x + Summed.apply(second(torch.relu(first(Shared.apply(x, row)))), row)
        nn.functional.mse_loss(x, target).backward()
        reduced = [dist.all_reduce(parameter.grad, group=column, async_op=True) for parameter in halves.parameters()]
        for work in reduced:
            work.wait()
        for parameter in halves.parameters():
            parameter.grad /= size // 2
        optimizer.step()
    return step


def small(rank, size):
    """A thousand parameters of a few bytes, and a call for each gradient."""
    model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(500)])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    data = torch.rand(4, 8)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(data).square().mean().backward()
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
        optimizer.step()
    return step


def barriers(rank, size):
    """Rank 0 hands out data and weights, and collects gradients and losses; nobody goes on before all are there."""
    rows, width = many(40), wide(384)
    model = layers(5, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch, loads, mine = torch.rand(size, rows, width), torch.zeros(size), torch.empty(1)
    has_lists = can_reduce_scatter(size)

    def step():
        data, losses = torch.empty(rows, width), [torch.empty(1) for _ in range(size)]
        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)
        dist.scatter(data, list(batch) if rank == 0 else None, src=0)
        optimizer.zero_grad(set_to_none=True)
        loss = (model(data) - data).square().mean()
        loss.backward()
        for parameter in model.parameters():
            dist.reduce(parameter.grad, 0)
        dist.gather(loss.detach().view(1), losses if rank == 0 else None, dst=0)
        dist.all_reduce(loads, dist.ReduceOp.MAX)
        if has_lists:
            dist.reduce_scatter(mine, list(loads.split(1)))
        dist.barrier()
        optimizer.step()
    return step


def can_reduce_scatter(size):
    """Whether the backend reduces lists; Gloo of many versions does not."""
    try:
        dist.reduce_scatter(torch.empty(1), [torch.zeros(1) for _ in range(size)])
        return True
    except (RuntimeError, ValueError):
        return False


JOBS = {job.__name__: job for job in (ddp, sharded, pipeline, uneven, mesh, small, barriers)}


def main():
    global size_of_jobs
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(JOBS))
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--size", type=int, default=1, help="makes layers as many times as wide, with as many rows as its square")
    parser.add_argument("--times", metavar="DIR", help="write the time of each iteration to DIR/rank-N.json")
    options = parser.parse_args()
    size_of_jobs = options.size
    for name, of_slurm in (("RANK", "SLURM_PROCID"), ("WORLD_SIZE", "SLURM_NTASKS")):
        if name not in os.environ and of_slurm in os.environ:
            os.environ[name] = os.environ[of_slurm]
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    if options.name == "mesh" and size % 2:
        raise SystemExit("mesh is of rows of two ranks")
    torch.manual_seed(1 + rank)
    step, samples = JOBS[options.name](rank, size), []
    dist.barrier()
    for _ in range(options.iterations):
        start = time.perf_counter_ns()
        step()
        samples.append(time.perf_counter_ns() - start)
    dist.barrier()
    if options.times:
        os.makedirs(options.times, exist_ok=True)
        with open(os.path.join(options.times, f"rank-{rank}.json"), "w", encoding="utf-8") as file:
            json.dump({"job": options.name, "rank": rank, "world_size": size, "torch": torch.__version__, "samples_ns": samples}, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
