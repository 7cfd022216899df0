"""The originals of compare.py: plain PyTorch, nothing of Mystique's."""
import torch
from torch import nn
from torch.nn import functional


def workload(name, device):
    """A training step as a function."""
    torch.manual_seed(1)

    if name == "tiny":  # Launch-bound: more than 1,000 operators of a few microseconds each.
        model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(16, 16), nn.LayerNorm(16), nn.Tanh())])
        data = torch.rand(8, 16)

        def loss():
            return model(data).mean()
    elif name == "resnet50":
        model, data, target = resnet50(), torch.rand(64, 3, 224, 224), torch.randint(0, 1000, (64,))

        def loss():
            return functional.cross_entropy(model(data), target)
    elif name == "gpt2":
        model, data = gpt2(), torch.randint(0, 50257, (8, 1025))

        def loss():
            return functional.cross_entropy(model(data[:, :-1]).flatten(0, 1), data[:, 1:].flatten())
    else:
        raise SystemExit(f"there is no workload {name}: tiny, resnet50, gpt2")
    model.to(device)
    data = data.to(device)
    if name == "resnet50":
        target = target.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.0 if name == "tiny" else 0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
    return step


def resnet50():
    """ResNet-50 as He et al. describe it (2015), with the stride in the 3x3 convolution."""
    class Bottleneck(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()

            def convolution(a, b, size, s=1):
                return [nn.Conv2d(a, b, size, s, size // 2, bias=False), nn.BatchNorm2d(b)]
            self.body = nn.Sequential(*convolution(inputs, width, 1), nn.ReLU(True), *convolution(width, width, 3, stride), nn.ReLU(True),
                                      *convolution(width, 4 * width, 1))
            self.skip = nn.Sequential(*convolution(inputs, 4 * width, 1, stride)) if stride != 1 or inputs != 4 * width else nn.Identity()
            self.relu = nn.ReLU(True)

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    layers, inputs = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)], 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(count):
            layers.append(Bottleneck(inputs, width, stride if i == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def gpt2():
    """A transformer of GPT-2's size: 12 layers, 12 heads, 768 wide (Radford et al., 2019)."""
    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (p.view(b, t, self.heads, c // self.heads).transpose(1, 2) for p in self.qkv(self.norm1(x)).split(c, dim=2))
            if hasattr(functional, "scaled_dot_product_attention"):
                y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                mask = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
                y = (q @ k.transpose(-2, -1) / (c // self.heads) ** 0.5).masked_fill(~mask, float("-inf")).softmax(-1) @ v
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.mlp(self.norm2(x))

    class Gpt(nn.Module):
        def __init__(self, vocabulary=50257, context=1024, width=768, layers=12, heads=12):
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.blocks, self.norm = nn.Sequential(*[Block(width, heads) for _ in range(layers)]), nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, ids):
            places = torch.arange(ids.shape[1], device=ids.device)
            return self.head(self.norm(self.blocks(self.tokens(ids) + self.places(places))))

    return Gpt()
