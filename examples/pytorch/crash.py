"""Trains, and fails in iteration 3."""
import torch
from torch import nn

torch.manual_seed(1)
model = nn.Linear(8, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for iteration in range(1, 6):
    optimizer.zero_grad()
    loss = model(torch.rand(4, 8)).square().mean()
    loss.backward()
    if iteration == 3:
        raise ValueError("the data is broken")
    optimizer.step()
    print(loss.item().hex(), flush=True)
