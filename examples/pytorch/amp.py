"""Mixed precision as people write it: `amp.py infer|train|checkpoint ITERATIONS`. Autocast to bfloat16, a transformer on the CPU."""
import argparse
import math

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """Attention and two linear layers, without norms: PyTorch 1.13 has none for mixed types on the CPU."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p.reshape(b, t, self.heads, c // self.heads).transpose(1, 2) for p in self.qkv(x).chunk(3, dim=2))
        y = (q @ k.transpose(-2, -1) / math.sqrt(c // self.heads)).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(x)


class Encoder(nn.Module):
    """Patches of an image by a convolution, three blocks, a classifier."""

    def __init__(self, width, checkpointed):
        super().__init__()
        self.patches, self.head, self.checkpointed = nn.Conv2d(3, width, 8, 8), nn.Linear(width, 100), checkpointed
        self.blocks = nn.ModuleList([Block(width, 4) for _ in range(3)])

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = checkpoint(block, x) if self.checkpointed else block(x)
        return self.head(x.mean(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["infer", "train", "checkpoint"])
    parser.add_argument("iterations", type=int)
    options = parser.parse_args()
    torch.manual_seed(1)
    model = Encoder(256, options.mode == "checkpoint")
    data, labels = torch.rand(16, 3, 96, 96), torch.randint(100, (16,))
    if options.mode == "infer":
        model.eval()
        for _ in range(options.iterations):
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                model(data)
        return
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for _ in range(options.iterations):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = functional.cross_entropy(model(data), labels)
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
