"""Jobs whose variables hold memory longer than operators use it: `memory.py NAME ITERATIONS [--device D]`.

Plain PyTorch, nothing of Mystique's. Python frees a tensor when its last name goes, not when it was used last: a loop's variables live
until they are set again, results until the next iteration's, and old gradients until somebody clears them.
"""
import argparse

import torch
from torch import nn
from torch.nn import functional


def graph(device, nodes=6000, edges=60000, width=48):
    """A graph network: messages along edges, summed at nodes, three rounds; gradients are cleared behind the forward pass."""
    source, target = torch.randint(nodes, (2, edges), device=device)
    features, labels = torch.rand(nodes, width, device=device), torch.randint(7, (nodes,), device=device)
    messages = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(3)).to(device)
    head = nn.Linear(width, 7).to(device)
    optimizer = torch.optim.Adam([*messages.parameters(), *head.parameters()], lr=1e-3)

    while True:
        x = features
        for layer in messages:
            pairs = torch.cat([x[source], x[target]], 1)
            sent = torch.relu(layer(pairs))
            got = torch.zeros(nodes, width, device=device).index_add(0, target, sent)
            x = x + got
        scores = head(x)
        loss = functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def fft(device, batch=12, length=32768):
    """Filters of signals by FFT, without gradients: each step's results have names of their own."""
    signals, window = torch.rand(batch, length, device=device), torch.hann_window(length, device=device)

    class Filters(nn.Module):
        def __init__(self):
            super().__init__()
            self.filters = nn.Parameter(torch.rand(4, length // 2 + 1, device=device))

        def forward(self, given):
            windowed = given * window
            spectrum = torch.fft.rfft(windowed)
            power = spectrum.abs() ** 2
            bands = []
            for one in self.filters:
                shaped = spectrum * one
                bands.append(torch.fft.irfft(shaped, n=length))
            mixed = torch.stack(bands).mean(0)
            return mixed / (power.mean() + 1e-6)

    model = Filters()
    with torch.no_grad():
        while True:
            result = model(signals)
            result.mean()
            yield


def moe(device, tokens=1024, width=192, experts=6):
    """A mixture of experts: each token goes to two of them."""
    gate = nn.Linear(width, experts).to(device)
    layers = nn.ModuleList(nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(experts))
    layers.to(device)
    optimizer = torch.optim.SGD([*gate.parameters(), *layers.parameters()], lr=1e-3, momentum=0.9)
    data, goal = torch.rand(tokens, width, device=device), torch.rand(tokens, width, device=device)
    # Fixed choices, so that all iterations have the same shapes.
    chosen = [torch.arange(tokens, device=device)[i::experts].repeat(2) for i in range(experts)]

    while True:
        optimizer.zero_grad()
        weights = gate(data).softmax(1)
        combined = torch.zeros_like(data)
        for i, layer in enumerate(layers):
            rows = data[chosen[i]]
            made = layer(rows) * weights[chosen[i], i].unsqueeze(1)
            combined = combined.index_add(0, chosen[i], made)
        loss = functional.mse_loss(combined, goal)
        loss.backward()
        optimizer.step()
        yield


JOBS = {job.__name__: job for job in (graph, fft, moe)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(JOBS))
    parser.add_argument("iterations", type=int)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(1)
    step = JOBS[options.name](options.device)
    for _ in range(options.iterations):
        next(step)


if __name__ == "__main__":
    main()
