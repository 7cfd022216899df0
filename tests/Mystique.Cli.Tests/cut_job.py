"""Jobs whose backward passes autograd alone could not repeat: functions of their own, hooks, recomputation, several results."""

import sys

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        y, = ctx.saved_tensors
        return gradient * y * (1 - y)


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x.mm(weight.t())

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient.mm(weight), gradient.t().mm(x)


class Pair(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2, x.cos()

    @staticmethod
    def backward(ctx, first, second):
        x, = ctx.saved_tensors
        return first * 2 - second * x.sin()


class Model(torch.nn.Module):
    def __init__(self, job):
        super().__init__()
        self.job = job
        self.first, self.second, self.last = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 4)
        self.norm, self.weight = torch.nn.LayerNorm(16), torch.nn.Parameter(torch.randn(16, 16) * 0.1)
        if job == "hooks":
            self.first.weight.register_hook(lambda gradient: gradient.clamp(-1, 1))
            self.norm.register_full_backward_hook(lambda module, given, got: (given[0] * 0.5,))

    def forward(self, x):
        h = self.first(x)
        if self.job == "functions":
            h = h + self.second(Gate.apply(self.norm(h)))
            h = h + Linear.apply(Gate.apply(torch.relu(h) + h), self.weight)
            a, b, c, d = self.first(h).chunk(4, -1)
            first, second = Pair.apply(torch.cat([b, a, d, c], -1))
            return self.last(first * second + torch.tanh(first) + torch.cat([d, c, b, a], -1))
        if self.job == "hooks":
            h = torch.relu(h)
            h.register_hook(lambda gradient: gradient * 2)
            return self.last(self.norm(h) + self.second(h) * h)
        if self.job == "checkpoint":
            h = h + checkpoint(lambda y: functional.gelu(self.norm(self.second(y))), h, use_reentrant=True)
        return self.last(torch.tanh(h))


def main(job):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Model(job)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, target = torch.randn(8, 16), torch.randn(8, 4)
    for _ in range(12):
        optimizer.zero_grad(set_to_none=True)
        y = model(x)
        loss = functional.mse_loss(y, target)
        if job == "results":
            other = model.norm(x).abs()
            torch.autograd.backward([loss, other], [None, torch.ones_like(other)])
        else:
            loss.backward()
        optimizer.step()


main(sys.argv[1])
