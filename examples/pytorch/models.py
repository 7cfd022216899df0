"""Six jobs as people write them: `models.py NAME ITERATIONS [--threads N] [--batch N] [--device D]`.

Plain PyTorch, nothing of Mystique's.
"""
import argparse
import contextlib
import math

import torch
from torch import nn
from torch.nn import functional


def resnet(batch):
    """ResNet-18, images of 112 x 112, SGD with momentum."""
    import torchvision
    model = torchvision.models.resnet18()
    images, labels = torch.rand(batch, 3, 112, 112), torch.randint(1000, (batch,))
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), lambda: functional.cross_entropy(model(images), labels)


class Block(nn.Module):
    """A transformer's layer, before-norm."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p.view(b, t, self.heads, c // self.heads).transpose(1, 2) for p in self.qkv(self.norm1(x)).split(c, dim=2))
        mask = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
        y = ((q @ k.transpose(-2, -1)) / math.sqrt(c // self.heads)).masked_fill(~mask, float("-inf")).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(self.norm2(x))


def gpt(batch):
    """Three layers of width 128, sequences of 64, AdamW, clipped gradients."""
    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(2048, 128), nn.Embedding(64, 128)
            self.blocks, self.norm = nn.Sequential(*[Block(128, 4) for _ in range(3)]), nn.LayerNorm(128)
            self.head = nn.Linear(128, 2048, bias=False)

        def forward(self, ids):
            places = self.places(torch.arange(ids.shape[1], device=ids.device))
            return self.head(self.norm(self.blocks(self.tokens(ids) + places)))
    model, ids = Gpt(), torch.randint(2048, (batch, 65))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    return model, optimizer, lambda: functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def dlrm(batch):
    """Eight tables of embedding bags, dot interaction, Adagrad."""
    class Dlrm(nn.Module):
        def __init__(self):
            super().__init__()
            self.tables = nn.ModuleList([nn.EmbeddingBag(20000, 32, mode="sum") for _ in range(8)])
            self.bottom = nn.Sequential(nn.Linear(13, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
            self.top = nn.Sequential(nn.Linear(68, 256), nn.ReLU(), nn.Linear(256, 1))

        def forward(self, dense, indices, offsets):
            x = self.bottom(dense)
            all_ = torch.stack([x, *(t(i, offsets) for t, i in zip(self.tables, indices))], dim=1)
            i, j = torch.tril_indices(9, 9, -1, device=x.device)
            return self.top(torch.cat([x, (all_ @ all_.transpose(1, 2))[:, i, j]], dim=1)).squeeze(1)
    count = 64 * batch
    model, dense, labels = Dlrm(), torch.rand(count, 13), torch.rand(count)
    indices, offsets = [torch.randint(20000, (count * 10,)) for _ in range(8)], torch.arange(0, count * 10, 10)
    optimizer = torch.optim.Adagrad(model.parameters())
    return model, optimizer, lambda: functional.binary_cross_entropy_with_logits(model(dense, indices, offsets), labels)


def lstm(batch):
    """Two bidirectional layers, CTC loss, Adam."""
    class Recogniser(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(80, 128, num_layers=2, bidirectional=True), nn.Linear(256, 32)

        def forward(self, x):
            return self.head(self.lstm(x)[0]).log_softmax(-1)
    model, sounds = Recogniser(), torch.rand(30, batch, 80)
    targets, lengths = torch.randint(1, 32, (batch, 12)), (torch.full((batch,), 30), torch.full((batch,), 12))
    return model, torch.optim.Adam(model.parameters()), lambda: functional.ctc_loss(model(sounds), targets, *lengths)


def vit(batch):
    """torchvision's VisionTransformer, four layers of width 192, inference, images of 96 x 96."""
    import torchvision
    model = torchvision.models.VisionTransformer(image_size=96, patch_size=16, num_layers=4, num_heads=3, hidden_dim=192, mlp_dim=768)
    model.eval()
    images = torch.rand(batch, 3, 96, 96)
    return model, None, lambda: model(images).argmax(1)


def tiny(batch):
    """More than 1,000 operators of a few microseconds each."""
    model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(16, 16), nn.LayerNorm(16), nn.Tanh())])
    data = torch.rand(2 * batch, 16)
    return model, torch.optim.SGD(model.parameters(), lr=1e-3), lambda: model(data).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["resnet", "gpt", "dlrm", "lstm", "vit", "tiny"])
    parser.add_argument("iterations", type=int)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu", help="another one needs PyTorch 2.0 or newer")
    options = parser.parse_args()
    torch.manual_seed(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    with contextlib.nullcontext() if options.device == "cpu" else torch.device(options.device):
        model, optimizer, step = globals()[options.name](options.batch)
    for _ in range(options.iterations):
        if optimizer is None:
            with torch.inference_mode():
                step()
            continue
        optimizer.zero_grad(set_to_none=True)
        step().backward()
        if options.name == "gpt":
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


if __name__ == "__main__":
    main()
