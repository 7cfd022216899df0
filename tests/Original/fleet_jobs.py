#!/usr/bin/env python3
"""Jobs of a made-up fleet: six kinds of models in many sizes. Job N is always the same; nothing of Mystique's is in it.

    python3 tests/Original/fleet_jobs.py 17 --iterations 40
"""
import argparse
import random

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        y = self.first(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.inner(self.second(x))


class Tables(nn.Module):
    def __init__(self, count, rows, width):
        super().__init__()
        self.tables = nn.ModuleList([nn.EmbeddingBag(rows, width, mode="sum") for _ in range(count)])
        self.top = nn.Sequential(nn.Linear(width * count, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, indices):
        return self.top(torch.cat([table(one) for table, one in zip(self.tables, indices)], 1))


class Recurrent(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.rnn, self.out = nn.LSTM(width, width, layers, batch_first=True), nn.Linear(width, 32)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def job(number):
    """The model, its input, whether it trains, and how it does."""
    choice = random.Random(number)
    kind = choice.choices(["gpt", "mlp", "conv", "tables", "recurrent", "serve"], [30, 20, 15, 15, 10, 10])[0]
    batch = choice.choice([2, 4, 8, 16])
    if kind in ("gpt", "serve"):
        width, depth, length = choice.choice([64, 128, 192, 256]), choice.choice([1, 2, 4]), choice.choice([16, 32, 64, 128])
        model, data = nn.Sequential(*[Block(width, 4) for _ in range(depth)]), torch.rand(batch, length, width)
    elif kind == "mlp":
        width, depth = choice.choice([64, 128, 256, 512]), choice.choice([2, 4, 8, 16])
        model = nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())])
        data = torch.rand(batch * choice.choice([1, 8, 32]), width)
    elif kind == "conv":
        width, depth, side = choice.choice([8, 16, 32]), choice.choice([2, 4, 6]), choice.choice([16, 32, 48])
        model = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *[layer for _ in range(depth) for layer in (
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())], nn.AdaptiveAvgPool2d(1))
        data = torch.rand(batch, 3, side, side)
    elif kind == "tables":
        count, rows, width = choice.choice([4, 8, 16]), choice.choice([1000, 20000]), choice.choice([16, 32, 64])
        model, data = Tables(count, rows, width), torch.randint(rows, (count, batch * 8, choice.choice([4, 16])))
    else:
        width, length = choice.choice([32, 64, 128]), choice.choice([8, 16, 32])
        model, data = Recurrent(width, choice.choice([1, 2])), torch.rand(batch, length, width)
    optimizer = choice.choice([torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
    return kind, model, data, kind != "serve", optimizer(model.parameters(), lr=1e-3), choice.choice([1, 1, 1, 2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", type=int)
    parser.add_argument("--iterations", type=int, default=60)
    options = parser.parse_args()
    torch.manual_seed(options.number)
    _, model, data, trains, optimizer, threads = job(options.number)
    torch.set_num_threads(threads)
    for _ in range(options.iterations):
        if not trains:
            model.eval()
            with torch.no_grad():
                model(data)
            optimizer.step()  # Without gradients it does nothing, and ends the iteration.
            continue
        optimizer.zero_grad(set_to_none=True)
        model(data).square().mean().backward()
        optimizer.step()


if __name__ == "__main__":
    main()
