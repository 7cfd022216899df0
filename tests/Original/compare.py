#!/usr/bin/env python3
"""Captures an original on this machine's own PyTorch, generates its package, and measures original and replay interleaved.

One command does all of it: the execution trace, the Kineto profile, the package, A B A B …, kernels, memory, the report.

    python3 tests/Original/compare.py tiny -o out
    python3 tests/Original/compare.py resnet50 gpt2 --device cuda:0 --limit 0.05 -o examples/gpu

It needs torch (1.13 or newer), and mystique as --mystique names it.
"""
import argparse
import collections
import gzip
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


# The originals: plain PyTorch, nothing of Mystique's.

def workload(name, device):
    """A training step as a function."""
    import torch
    from torch import nn
    from torch.nn import functional
    torch.manual_seed(1)

    if name == "tiny":  # Launch-bound: more than 1,000 operators of a few microseconds each.
        model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(16, 16), nn.LayerNorm(16), nn.Tanh())])
        data = torch.rand(8, 16)
        loss = lambda: model(data).mean()
    elif name == "resnet50":
        model, data, target = resnet50(), torch.rand(64, 3, 224, 224), torch.randint(0, 1000, (64,))
        loss = lambda: functional.cross_entropy(model(data), target)
    elif name == "gpt2":
        model, data = gpt2(), torch.randint(0, 50257, (8, 1025))
        loss = lambda: functional.cross_entropy(model(data[:, :-1]).flatten(0, 1), data[:, 1:].flatten())
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
    from torch import nn

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
    import torch
    from torch import nn
    from torch.nn import functional

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


# The original's process: answers lines of JSON, as a worker of the replay does.

def serve(name, device, threads):
    import torch
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(threads or os.cpu_count())
    step = workload(name, device)
    cuda = torch.device(device).type == "cuda"

    def timed():
        if cuda:
            pair = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            pair[0].record()
            step()
            pair[1].record()
            return pair
        start = time.perf_counter_ns()
        step()
        return time.perf_counter_ns() - start

    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "iterate":
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            samples = [timed() for _ in range(request["count"])]
            if cuda:
                torch.cuda.synchronize()
                samples = [round(a.elapsed_time(b) * 1e6) for a, b in samples]
            answer = {"samplesNs": samples, "peakBytes": torch.cuda.max_memory_allocated() if cuda else 0}
        else:
            record(step, request["trace"], request["profile"], cuda)
            answer = {"torch": torch.__version__, "device": torch.cuda.get_device_name(torch.device(device)) if cuda else "cpu"}
        output.write(json.dumps({"kind": "result", **answer}) + "\n")
        output.flush()


def record(step, trace, profile, cuda):
    """One iteration under the observer and the profiler at once, so that both have the same ids."""
    import torch
    observer = getattr(torch.profiler, "ExecutionTraceObserver", None) or torch.profiler.ExecutionGraphObserver
    observer = observer()
    observer.register_callback(trace)
    with torch.profiler.profile() as profiler:
        observer.start()
        step()
        if cuda:
            torch.cuda.synchronize()
        observer.stop()
    observer.unregister_callback()
    profiler.export_chrome_trace(profile)


# The comparison.

class Process:
    """A process that answers lines of JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer["kind"] == "failure":
                raise SystemExit("\n".join(answer.get("problem") or [answer["error"]]))
            if answer["kind"] == "result":
                return answer
        raise SystemExit(f"the process ended while asked to {request['command']}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def kernels_of(profile):
    """How often each kernel of a profile was launched."""
    with open(profile, encoding="utf-8") as file:
        events = json.load(file)
    # Without Kineto, PyTorch writes the operators of the host alone.
    events = events if isinstance(events, list) else events["traceEvents"]
    return collections.Counter(e["name"] for e in events if e.get("cat") == "kernel")


def interleaved(original, replay, options, paced):
    """Medians over rounds of blocks A B A B …, in nanoseconds, and of the rounds' own errors; peak memory of the device.

    A replay that keeps the pace waits the share of an iteration that its calls left free in the rounds so far, as
    `mystique bench` has it (src/Mystique/Fidelity/InterleavedMeasurement.cs); first rounds, which do not count, tell what that is.
    """
    samples, errors, shares, peaks = {"original": [], "replay": []}, [], [], {"original": 0, "replay": 0}
    for process in (original, replay):
        process.ask(command="iterate", count=options.warmup)
    first = 3 if paced else 0
    for number in range(first + options.rounds):
        if shares and paced:
            replay.ask(command="pace", share=statistics.median(shares))
        theirs, ours = (process.ask(command="iterate", count=options.iterations) for process in (original, replay))
        a, b = (statistics.median(answer["samplesNs"]) for answer in (theirs, ours))
        waited = (ours.get("pace") or {}).get("waitedNs", 0) / statistics.mean(ours["samplesNs"])
        shares.append(b * (1 - waited) / a)
        if number < first:
            continue
        errors.append(b / a - 1)
        for side, answer in (("original", theirs), ("replay", ours)):
            samples[side] += answer["samplesNs"]
            peaks[side] = max(peaks[side], answer["peakBytes"])
    median = {side: statistics.median(values) for side, values in samples.items()}
    return {**median, "error": statistics.median(errors), "original_peak_bytes": peaks["original"], "replay_peak_bytes": peaks["replay"],
            "peak_error": peaks["replay"] / peaks["original"] - 1 if peaks["original"] else None, "pace": ours.get("pace")}


def compare(name, options, folder):
    work = os.path.join(folder, "work")
    os.makedirs(work, exist_ok=True)
    trace, profile, bench = (os.path.join(work, f"{name}.{kind}") for kind in ("et.json", "kineto.json", "bench"))
    original = Process(sys.executable, os.path.abspath(__file__), name, "--serve", "--device", options.device,
                       "--threads", str(options.threads))
    original.ask(command="iterate", count=options.warmup)
    about = original.ask(command="record", trace=trace, profile=profile)
    subprocess.run([*shlex.split(options.mystique), "generate", trace, "--profile", profile, "-o", bench], check=True, stdout=sys.stderr)

    verified = os.path.join(work, f"{name}.result.json")
    subprocess.run([sys.executable, os.path.join(bench, "run.py"), "--device", options.device,
                    "--threads", str(options.threads), "--iterations", "1",
                    "--no-operators", "--profile", os.path.join(work, f"{name}.replay.kineto.json"), "--json", verified],
                   check=True, stdout=sys.stderr)
    with open(verified, encoding="utf-8") as file:
        result = json.load(file)

    replay = Process(sys.executable, os.path.join(bench, "run.py"), "--worker")
    replay.ask(command="open", package=bench, device=options.device, threads=options.threads, seed=1)
    replay.ask(command="start")
    unpaced = interleaved(original, replay, options, paced=False)
    paced = interleaved(original, replay, options, paced=True)
    original.close()
    replay.close()

    ours, theirs = kernels_of(os.path.join(work, f"{name}.replay.kineto.json")), kernels_of(profile)
    report = {
        "workload": name, "torch": about["torch"], "device": about["device"], "rounds": options.rounds, "iterations": options.iterations,
        "operators": result["coverage"]["selected_operators"], "replayed": result["coverage"].get("recorded_operators"),
        "verification": result["verification"]["status"], "differences": result["verification"]["differences"][:20],
        "unpaced": unpaced, "paced": paced, "kernels": sum(theirs.values()), "replayed_kernels": sum(ours.values()),
        "other_kernels": sum((theirs - ours).values()) + sum((ours - theirs).values())}
    if options.keep:
        for path in (trace, profile):
            with open(path, "rb") as source, gzip.GzipFile(os.path.join(folder, os.path.basename(path) + ".gz"), "wb", mtime=0) as target:
                shutil.copyfileobj(source, target)
    shutil.rmtree(work)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", help="tiny, resnet50, gpt2")
    parser.add_argument("-o", "--output", help="keep traces, profiles and the report in this folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--limit", type=float, help="exit with 1 where time or peak memory differ by more (0.05), a larger share of the "
                        "kernels is the other's alone, or the replay is not exact")
    parser.add_argument("--mystique", default=f"dotnet run -c Release --project {os.path.join(HERE, '..', '..', 'src', 'Mystique.Cli')} --")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.workloads[0], options.device, options.threads)
    options.keep = options.output is not None
    folder = options.output or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    reports = [compare(name, options, folder) for name in options.workloads]
    text = json.dumps(reports, indent=2) + "\n"
    if options.keep:
        with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
            file.write(text)
    else:
        shutil.rmtree(folder)
    print(text, end="")
    return 0 if options.limit is None or all(is_within(options.limit, report) for report in reports) else 1


def is_within(limit, report):
    """Whether a replay is close enough: its time, its peak memory, and of the kernels of both the share that the other lacks."""
    kernels = report["kernels"] + report["replayed_kernels"]
    errors = report["paced"]["error"], report["unpaced"]["peak_error"] or 0, report["other_kernels"] / kernels if kernels else 0
    return report["verification"] == "exact" and all(abs(error) <= limit for error in errors)


if __name__ == "__main__":
    sys.exit(main())
