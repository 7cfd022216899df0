using System.Globalization;
using Mystique.Fidelity;
using Mystique.Reporting;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>Original against replay, for people.</summary>
internal static class ComparisonTables
{
    public static void Write(ComparisonResult result)
    {
        var plan = result.Result.Plan;
        var (original, replay) = (result.Original, result.Replay);
        var table = Terminal.Table($"{result.Captured.Name}: original against replay, interleaved", "measure", "original", "replay",
            "difference");
        table.Row("iteration time, median", Terminal.Milliseconds(original.Times.MedianNs), Terminal.Milliseconds(replay.Times.MedianNs),
            Figures.Difference(result.TimeError.Error));
        if (result.Control is { } control)
            table.Row("A/A control (second process)", Terminal.Milliseconds(result.Originals[0].Times.MedianNs),
                Terminal.Milliseconds(result.Originals[1].Times.MedianNs), Figures.Difference(control.Error));
        table.Row("5th percentile", Terminal.Milliseconds(original.Times.P5Ns), Terminal.Milliseconds(replay.Times.P5Ns),
            Figures.Difference(replay.Times.P5Ns / original.Times.P5Ns - 1));
        table.Row("95th percentile", Terminal.Milliseconds(original.Times.P95Ns), Terminal.Milliseconds(replay.Times.P95Ns),
            Figures.Difference(replay.Times.P95Ns / original.Times.P95Ns - 1));
        table.Row("median, unpaced", "", Terminal.Milliseconds(result.Unpaced.Times.MedianNs),
            Figures.Difference(result.UnpacedError.Error));
        table.Row("CPU time of an iteration", Terminal.Milliseconds(original.CpuTimeNs), Terminal.Milliseconds(replay.CpuTimeNs),
            result.CpuTimeError is { } cpu ? Figures.Difference(cpu) : "");
        table.Row("peak memory", Figures.Megabytes(result.MemoryBytes.Original), Figures.Megabytes(result.MemoryBytes.Replay),
            Figures.Difference(result.MemoryError));
        table.Row("operators", Figures.Number(plan.SelectedCount), Figures.Number(plan.ReplayedCount), Figures.Percent(plan.Coverage));
        table.Row("verification", "", RunTables.DescribeVerification(result.Result.Verification!), "");
        Terminal.Write(table);
        Terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{replay.Blocks.Length} blocks, iterations measured in each: {result.Result.Options.Iterations}; differences of times are the "
                + $"blocks' own; {string.Join(", ", result.Result.Engine.Versions.Select(v => $"{v.Key} {v.Value}"))}; "
                + $"{result.Result.Engine.Threads} threads on {result.Result.Host.Processor}"));
        PlanTables.WriteCoverage(plan);
    }
}
