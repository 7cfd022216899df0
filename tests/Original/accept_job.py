#!/usr/bin/env python3
"""An original of the acceptance: plain PyTorch, nothing of Mystique's.

    python3 tests/Original/accept_job.py gemm --device cuda:0
    python3 tests/Original/accept_job.py --facts --device cuda:0      # what this PyTorch and the device can do, as JSON
"""
import argparse
import importlib.util
import json
import sys

import torch
from torch import nn
from torch.nn import functional

from accept_table import VARIANTS


class Attention(nn.Module):
    """A block with causal attention."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm, self.into, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.into(self.norm(x)).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
        return x + functional.dropout(self.out(y.transpose(1, 2).reshape(batch, length, width)), self.dropout)


def layers(width, count):
    return nn.Sequential(*[layer for _ in range(count) for layer in (nn.Linear(width, width), nn.GELU())])


def parts_of(variant, is_small):
    """A model, its input and its target, on the host."""
    if variant == "launch":  # Some hundred operators of a few microseconds each.
        model = nn.Sequential(*[layer for _ in range(50) for layer in (nn.Linear(16, 16), nn.LayerNorm(16), nn.Tanh())])
        return model, torch.rand(8, 16), torch.randint(0, 16, (8,))
    if variant == "conv":
        count, size = (4, 32) if is_small else (128, 224)
        model = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 128, 3, 2, 1), nn.BatchNorm2d(128),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 100))
        images = torch.rand(count, 3, size, size).to(memory_format=torch.channels_last)
        return model.to(memory_format=torch.channels_last), images, torch.randint(0, 100, (count,))
    if variant in ("attention", "scaler"):
        width, length = (64, 32) if is_small else (2048, 1024)
        blocks = [Attention(width, max(1, width // 64), 0.1) for _ in range(2 if is_small else 4)]
        words = torch.randint(0, 1000, (4, length))
        return nn.Sequential(nn.Embedding(1000, width), *blocks, nn.Linear(width, 1000)), words, words
    width, count = (64, 64) if is_small else (2048, 4096)
    return layers(width, 4), torch.rand(count, width), torch.randint(0, width, (count,))


def ask_for_kernels(variant):
    """Settings of PyTorch's own that decide which kernels run."""
    if variant == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = True
    if variant == "tf32_new":
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    if variant == "conv":
        torch.backends.cudnn.benchmark = True


class Step:
    """A training step of a variant."""

    def __init__(self, variant, device):
        self.variant, self.device, self.backend = variant, device, getattr(torch, device.type, None)
        on_host = device.type == "cpu"
        model, data, target = parts_of(variant, on_host)
        self.model, self.batch = model.to(device), (data, target)
        if variant == "pinned":
            self.batch = data.pin_memory(), target.pin_memory()
        else:
            self.batch = data.to(device), target.to(device)
        fused = {"fused": True} if variant in ("attention", "scaler") and not on_host else {}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, **fused)
        self.scaler = torch.amp.GradScaler(device.type) if variant == "scaler" else None
        self.precision = {"attention": torch.bfloat16, "scaler": torch.float16}.get(variant)
        self.side = self.backend.Stream() if variant == "streams" else None
        self.other = layers(data.shape[-1], 2).to(device) if variant == "streams" else None
        if variant == "compile":
            self.model = torch.compile(self.model)

    def forward(self, x):
        if self.side is None:
            return self.model(x)
        main = self.backend.current_stream()  # Two branches that read the same input, side by side.
        self.side.wait_stream(main)
        with self.backend.stream(self.side), torch.no_grad():
            beside = self.other(x)
        y = self.model(x)
        main.wait_stream(self.side)
        beside.record_stream(main)
        return y + beside

    def run(self):
        x, target = (part.to(self.device, non_blocking=True) for part in self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.precision or torch.bfloat16, enabled=self.precision is not None):
            y = self.forward(x)
            loss = functional.cross_entropy(y.flatten(0, -2), target.flatten())
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.variant == "item":
            loss.item()
        if self.variant == "endsync":
            self.backend.synchronize()
        return loss


def has_new_precision():
    """Whether precision can be asked for in the way of PyTorch 2.9 and newer; older ones refuse to tell by different errors."""
    try:
        return bool(torch.backends.cuda.matmul.fp32_precision)
    except (AttributeError, AssertionError):
        return False


def facts_of(device):
    """What the acceptance has to know of PyTorch and of the device."""
    backend = getattr(torch, device.type, None)
    name = getattr(backend, "get_device_name", lambda *_: "")(*(() if device.type == "cpu" else (device,)))
    torch.empty(1, device=device)
    return {
        "torch": torch.__version__, "python": sys.version.split()[0], "kind": device.type, "name": name,
        "built_for": {n: v for n, v in (("cuda", torch.version.cuda), ("hip", torch.version.hip)) if v},
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "has": {"attention": hasattr(functional, "scaled_dot_product_attention"),
                "scaler": hasattr(getattr(torch, "amp", None), "GradScaler"),
                "fp32_precision": has_new_precision(), "streams": hasattr(backend, "Stream"),
                "compile": hasattr(torch, "compile") and importlib.util.find_spec("triton") is not None}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="?", choices=VARIANTS)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--facts", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.facts:
        print(json.dumps(facts_of(device)))
        return 0
    if options.variant is None:
        parser.error("name a variant")
    torch.manual_seed(1)
    ask_for_kernels(options.variant)
    step = Step(options.variant, device)
    for _ in range(options.iterations):
        loss = step.run()
    print("the last loss:", loss.item())
    return 0


if __name__ == "__main__":
    sys.exit(main())
