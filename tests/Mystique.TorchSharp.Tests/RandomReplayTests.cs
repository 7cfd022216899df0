using CsCheck;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces.PyTorch;
using static TorchSharp.torch;

namespace Mystique.TorchSharp.Tests;

/// <summary>
/// Random jobs: operators one after the other, on results of earlier ones, recorded by libtorch's own observer. Whatever
/// they are, plan, package and replay agree with what was recorded.
/// </summary>
[Collection("libtorch")]
public sealed class RandomReplayTests : IDisposable
{
    /// <summary>From a matrix and another, a number to choose by, a matrix; some on the way by views, writes, indices and masks.</summary>
    private static readonly Func<Tensor, Tensor, int, Tensor>[] Operators =
    [
        (a, _, _) => a.relu(),
        (a, _, n) => a * (0.5 + n),
        (a, b, _) => a.mm(b.t()).mm(b),
        (a, _, n) => cat([a, a], n % 2),
        (a, _, n) => a.slice(0, 0, 1 + n % a.shape[0], 1),
        (a, _, _) => a.t().contiguous().t(),
        (a, _, n) => a.softmax(n % 2),
        (a, _, _) => nn.functional.layer_norm(a, [a.shape[1]]),
        (a, _, n) => a.index_select(0, randint(0, a.shape[0], [1 + n])),
        (a, _, _) => a.masked_select(a > a.mean()).view(-1, 1),
        (a, _, _) => a.nonzero().to(float32).add_(1),
        (a, _, n) => a.topk((int)(1 + n % a.shape[1]), 1).values,
        (a, _, _) => a.sort(1).Values,
        (a, _, n) => a.reshape(-1)[TensorIndex.Slice(n % 2, null, 2)].clone().reshape(-1, 1),
        (a, _, _) => a.clone().add_(1).mul_(0.5),
        (a, _, _) => a.to(float64).exp().to(float32),
        (a, b, _) => where(a > 0, a, a.neg()),
        (a, _, n) => a.gather(1, randint(0, a.shape[1], [a.shape[0], 1 + n % 3])),
        (a, _, _) => a.sum(1, keepdim: true).expand(a.shape).contiguous(),
        (a, _, n) => nn.functional.one_hot(randint(0, 3 + n, [4]), 3 + n).to(float32),
        (a, _, _) => a.unsqueeze(0).transpose(1, 2).squeeze(0),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void AnyJob_RecordedAndReplayed_IsExact()
    {
        TorchSharpRuntime.Load();
        int number = 0;
        // One at a time: there is one observer in a process.
        Gen.Select(Gen.Int[2, 6], Gen.Int[2, 6], Gen.Select(Gen.Int[0, Operators.Length - 1], Gen.Int[0, 3], Gen.Int[0, 20]).Array[1, 12])
            .Sample(job =>
        {
            string path = Path.Combine(_folder, $"{number++}.et.json");
            using var scope = NewDisposeScope();
            using var grad = no_grad();
            List<Tensor> made = [rand(job.Item1, job.Item2)];
            var second = rand(job.Item1, job.Item2);
            TraceObserver.Record(path, () =>
            {
                foreach (var (kind, choice, from) in job.Item3)
                {
                    var a = made[from % made.Count];
                    var b = second.shape[1] == a.shape[1] ? second : a;
                    var result = Operators[kind](a, b, choice);
                    if (result.numel() > 0) // With nothing left there is nothing to go on with.
                        made.Add(result);
                }
            });
            var trace = TraceReader.Read(path);
            var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace)));
            Assert.Empty(plan.Replaced);
            var package = Benchmark.Of(plan);
            using var engine = EngineFixture.Start(package);
            for (int i = 0; i < 2; i++)
            {
                engine.Restore(all: true);
                engine.RunIteration();
            }
            var result = EngineFixture.Verify(package);
            Assert.True(result.IsExact, string.Join('\n', result.Differences));
        }, iter: 60, threads: 1);
    }
}
