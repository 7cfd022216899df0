def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", help="the place of the original's accelerators; default: cpu")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="within operators; default: PyTorch's choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    device, times = options.device, []
    on_cuda = device.startswith("cuda")
    t, written = tensors(device)
    for number in range(options.warmup + options.iterations):
        for storage, before in written:
            storage.copy_(before)
        if on_cuda:
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
            first.record()
            iteration(dict(t), device)
            last.record()
            torch.cuda.synchronize()
            seconds = first.elapsed_time(last) / 1000
        else:
            start = time.perf_counter()
            iteration(dict(t), device)
            seconds = time.perf_counter() - start
        if number >= options.warmup:
            times.append(seconds)
    try:
        from torch.utils.benchmark import Measurement, TaskSpec  # Some PyTorch need setuptools for it.
        print(Measurement(1, times, TaskSpec("iteration(t, device)", "", num_threads=torch.get_num_threads())))
    except ImportError:
        print(f"median {statistics.median(times) * 1000:.3f} ms of {len(times)} iterations, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
