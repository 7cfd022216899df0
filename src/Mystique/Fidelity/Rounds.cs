using System.Collections.Immutable;
using Mystique.Execution;

namespace Mystique.Fidelity;

/// <summary>Runs so many iterations of a process, as one block.</summary>
/// <param name="iterations">How many.</param>
/// <param name="cancellationToken">Ends the process.</param>
internal delegate Task<MeasuredBlock> RunBlock(int iterations, CancellationToken cancellationToken);

/// <summary>Rounds of an interleaved measurement: in each, every process runs a block.</summary>
internal static class Rounds
{
    /// <summary>How long a block is meant to take, in nanoseconds: short, for the machine to be the same for all of a round.</summary>
    private const double BlockNs = 200e6;

    private const int MaxIterations = 100;

    /// <summary>Iterations of a block: as the user says, else as many as fit into one.</summary>
    /// <param name="options">What the user says.</param>
    /// <param name="first">A block of the process that did not count.</param>
    public static int IterationsOf(ReplayOptions options, MeasuredBlock first) =>
        options.Iterations is > 0 and var asked ? asked : (int)Math.Clamp(BlockNs / first.Times.MedianNs, 1, MaxIterations);

    /// <summary>Measures: the processes run in their order, and backward in every other round.</summary>
    /// <param name="processes">The processes, and the iterations of their blocks.</param>
    /// <param name="rounds">How many.</param>
    /// <param name="starting">Told of each round before it.</param>
    /// <param name="done">Told of the blocks of each round after it; null for nobody.</param>
    /// <param name="cancellationToken">Ends the processes.</param>
    /// <returns>By process, its blocks.</returns>
    public static async Task<ImmutableArray<MeasuredBlock>[]> RunAsync(IReadOnlyList<(RunBlock Run, int Iterations)> processes, int rounds,
        Action<int> starting, Action<IReadOnlyList<MeasuredBlock>>? done, CancellationToken cancellationToken)
    {
        var blocks = processes.Select(_ => ImmutableArray.CreateBuilder<MeasuredBlock>(rounds)).ToArray();
        for (int i = 0; i < rounds; i++)
        {
            starting(i);
            var order = Enumerable.Range(0, processes.Count);
            foreach (int p in i % 2 == 0 ? order : order.Reverse())
                blocks[p].Add(await processes[p].Run(processes[p].Iterations, cancellationToken).ConfigureAwait(false));
            done?.Invoke([.. blocks.Select(b => b[^1])]);
        }
        return [.. blocks.Select(b => b.ToImmutable())];
    }
}
