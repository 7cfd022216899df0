"""Trains torchvision's ResNet-18 on made-up images: plain PyTorch, nothing of Mystique's."""
import argparse
import time

import torch
import torchvision
from torch.nn import functional


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="processes that load data")
    parser.add_argument("--times", help="write each iteration's time, in nanoseconds, into this file")
    options = parser.parse_args()
    torch.manual_seed(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    model = torchvision.models.resnet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)
    count = options.iterations * options.batch
    data = torch.utils.data.TensorDataset(torch.rand(count, 3, options.size, options.size), torch.randint(1000, (count,)))
    times, start = [], time.perf_counter_ns()
    for images, labels in torch.utils.data.DataLoader(data, options.batch, num_workers=options.workers):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        print(loss.item().hex(), flush=True)
        times.append(time.perf_counter_ns() - start)
        start = time.perf_counter_ns()
    if options.times:
        with open(options.times, "w", encoding="ascii") as file:
            file.writelines(f"{t}\n" for t in times)


if __name__ == "__main__":
    main()
