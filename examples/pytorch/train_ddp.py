"""Trains a small model on every rank that torchrun starts, with DistributedDataParallel over gloo."""
import sys

import torch
from torch import distributed, nn

distributed.init_process_group("gloo")
torch.manual_seed(distributed.get_rank())
torch.set_num_threads(1)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.LayerNorm(256), nn.Linear(256, 10)))
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(int(sys.argv[1])):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.rand(32, 64)), torch.randint(10, (32,)))
    loss.backward()
    optimizer.step()
    if distributed.get_rank() == 0:
        print(loss.item().hex(), flush=True)
distributed.destroy_process_group()
