"""A small job; writes its execution trace, and the FLOPs that PyTorch's profiler counts, by operator: flops_job.py FOLDER."""
import collections
import json
import sys

import torch
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, groups=4), nn.Flatten(),
                      nn.Linear(8 * 7 * 7, 16), nn.Tanh(), nn.Linear(16, 5))
data, left, right = torch.rand(4, 3, 16, 16), torch.rand(3, 5, 7), torch.rand(3, 7, 9)


def step():
    model.zero_grad()
    product = torch.baddbmm(torch.rand(3, 5, 9), left, right) * 2 + (left @ right).mul(2).add(left.mean())
    (model(data).sum() + product.sum()).backward()


step()
# The older name is PyTorch 1.13's.
observer = (getattr(torch.profiler, "ExecutionTraceObserver", None) or torch.profiler.ExecutionGraphObserver)()
observer.register_callback(sys.argv[1] + "/et.json")
with torch.profiler.profile(record_shapes=True, with_flops=True) as profile:
    observer.start()
    step()
    observer.stop()
observer.unregister_callback()
flops = collections.Counter()
for event in profile.events():
    flops[event.name] += event.flops or 0
with open(sys.argv[1] + "/flops.json", "w", encoding="utf-8") as file:
    json.dump({name: count for name, count in flops.items() if count}, file)
