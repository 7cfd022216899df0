using Mystique.Execution.Mixes;
using Mystique.Fidelity;
using Mystique.Reporting;
using Mystique.Verification;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>The result of a run, for people.</summary>
internal static class RunTables
{
    private const int MaxKinds = 12;
    private const int MaxDifferences = 10;
    private const int MaxNamed = 3;

    /// <summary>Of the original's time on the device, what is worth a word.</summary>
    private const double LeastTold = 0.005;

    /// <summary>Benchmarks that ran side by side.</summary>
    public static void Write(MixResult mix)
    {
        var table = Terminal.Table($"{mix.Name}: {Figures.Number(mix.Processes.Length)} processes side by side", "process", "alone",
            "together", "slow-down", "iterations", "verification");
        foreach (var process in mix.Processes)
            table.Row(process.Name, Terminal.Milliseconds(process.AloneNs), Terminal.Milliseconds(process.TogetherNs),
                Figures.Difference(process.SlowDown),
                    $"{Figures.Number(process.AloneIterations)}, {Figures.Number(process.TogetherIterations)}",
                process.IsExact switch { true => "exact", false => "different", null => "not verified" });
        Terminal.Write(table);
    }

    public static void Write(ReplayResult result)
    {
        var plan = result.Plan;
        var times = result.Iterations;
        string iteration = plan.Source.Iteration is { } number ? $", iteration {number}" : "";
        var table = Terminal.Table($"replay of {plan.Source.Name}{iteration}, {plan.Level.Word()} level", "measure",
            "value");
        table.Row("iteration time, median", Terminal.Milliseconds(times.MedianNs)
            + (plan.Times?.UnexplainedShare is >= LeastTold and var share
                ? $"; without {Figures.Share(share)} of the original's time on the device, which no operator started" : ""));
        table.Row("5th to 95th percentile", $"{Terminal.Milliseconds(times.P5Ns)} to {Terminal.Milliseconds(times.P95Ns)}");
        if (plan.Times is { } original)
            table.Row("iteration time of the original",
                $"{Terminal.Milliseconds(original.IterationNs)} ({Figures.Difference(times.MedianNs / original.IterationNs - 1)} here)");
        table.Row("iterations (excluding warm-up)", $"{times.SamplesNs.Length} (+ {result.Options.Warmup})");
        table.Row("operators as recorded", result.Verification?.Classes is { } classes
            ? $"{Figures.Number(classes.Exact)} of {Figures.Number(classes.Selected)} ({Figures.Share(classes.RecordedShare)})"
            : "not verified");
        table.Row("verification", result.WhyNotVerified ?? DescribeVerification(result.Verification));
        if (result.Pace is { } pace)
        {
            table.Row("waits in an iteration", $"{Figures.Number(pace.Waits)}, {Terminal.Milliseconds(pace.WaitedNs)}");
            table.Row("late iterations", $"{Figures.Number(pace.Late)}, at worst {Terminal.Milliseconds(pace.WorstLateNs)}");
        }
        table.Row("CPU time of an iteration", Terminal.Milliseconds(result.CpuTimeNs) + Against(result.CpuTimeNs,
            plan.Baseline?.CpuTimeNs, Terminal.Milliseconds));
        if (result.Instrumented?.HostMemory is { } tensors)
            table.Row("peak memory of tensors", Figures.Megabytes(tensors.PeakBytes));
        table.Row("peak memory of the process", Figures.Megabytes(result.Memory.UsedBytes) + Against(result.Memory.UsedBytes,
            plan.Baseline?.UsedBytes, Figures.Megabytes));
        if (result.Memory.Device is { } device)
            table.Row("peak memory of the device", Figures.Megabytes(device.PeakBytes)
                + (device.ReservedBytes is { } reserved ? $", {Figures.Megabytes(reserved)} held by the allocator" : ""));
        table.Row("peak of the plan's tensors", Figures.Megabytes(result.Memory.PlannedPeakBytes));
        table.Row("engine", $"{result.Engine.Name}, {string.Join(", ", result.Engine.Versions.Select(v => $"{v.Key} {v.Value}"))}");
        table.Row("device, threads", $"{result.Engine.Device}, {result.Engine.Threads}");
        table.Row("host", $"{result.Host.Processor}, {result.Host.Processors} logical CPUs");
        Terminal.Write(table);
        WriteKinds(result);
        PlanTables.WriteCoverage(plan, result.Verification, hasRun: true);
        WriteBackward(result.Verification?.Backward);
        WriteDifferences(result.Verification);
        WriteNonFinite(result);
    }

    public static string DescribeVerification(VerificationResult? verification) => verification?.Backward is not null
        ? ReplayRun.DescribeVerification(verification)
            + (verification is { IsExact: true, StridesCompared: false } ? " (strides not recorded)" : "")
        : Describe(verification) + ReplayRun.DescribeKernels(verification?.UnobservedKernels ?? 0);

    private static string Describe(VerificationResult? verification) => verification switch
    {
        null => "not run",
        { IsExact: true } => $"exact: {Figures.Number(verification.ExactCount)} operators" + (verification.StridesCompared ? ""
            : " (strides not recorded)"),
        _ => $"{Figures.Number(verification.ExactCount)} of {Figures.Number(verification.ExpectedCount)} exact, "
            + $"{Figures.Number(verification.Differences.Length)} differences",
    };

    /// <summary>What must not be overlooked in a result: on standard error, after all else.</summary>
    /// <param name="result">The result.</param>
    public static void Warn(ReplayResult result)
    {
        if (result.Verification is not { IsExact: false } verification)
            return;
        if (verification.Differences.IsEmpty)
            return; // The target's autograd ran more than was recorded, which the verification says.
        var first = verification.Differences.Take(MaxNamed).Select(d => d.Id is { } id ? $"node {id} ({d.Operator}): {d.What}"
            : $"{d.Operator}: {d.What}");
        int more = verification.Differences.Length - MaxNamed;
        Terminal.Warn([$"{Figures.Number(verification.Differences.Length)} differences from the recording: {string.Join("; ", first)}"
            + (more > 0 ? $"; and {Figures.Number(more)} more" : "")]);
    }

    /// <summary>What the original had, and how far off the replay is.</summary>
    private static string Against(double replay, double? original, Func<double, string> format) =>
        original is > 0 and { } value ? $" (original: {format(value)}, {Figures.Difference(replay / value - 1)} here)" : "";

    private static void WriteNonFinite(ReplayResult result)
    {
        if (result.NonFinite is not { } found)
            return;
        if (found.IsEmpty)
            Terminal.WriteLine("values: all results are finite, except for infinities that the trace contains");
        foreach (var failure in found.Take(MaxDifferences))
            Terminal.WriteLine($"values: node {result.Plan.Operators[failure.Operator].Id} "
                + $"({result.Plan.Operators[failure.Operator].Schema.FullName}): {failure.Reason}");
    }

    private static void WriteKinds(ReplayResult result)
    {
        if (result.OperatorGroups.IsEmpty)
            return;
        double total = result.OperatorGroups.Sum(k => k.TimeNs);
        var table = Terminal.Table("time by kind of operator (separate pass)", "operator", "count", "time", "share");
        foreach (var kind in result.OperatorGroups.Take(MaxKinds))
            table.Row(kind.Name, Figures.Number(kind.Count), Terminal.Milliseconds(kind.TimeNs), Figures.Percent(kind.TimeNs / total));
        if (result.OperatorGroups.Length > MaxKinds)
        {
            var rest = result.OperatorGroups.Skip(MaxKinds).ToArray();
            table.Row($"{rest.Length} more kinds", Figures.Number(rest.Sum(k => k.Count)),
                Terminal.Milliseconds(rest.Sum(k => k.TimeNs)), Figures.Percent(rest.Sum(k => k.TimeNs) / total));
        }
        Terminal.Write(table);
    }

    /// <summary>What the target's autograd ran in backward passes, and the original's did not; and the other way round.</summary>
    private static void WriteBackward(BackwardComparison? backward)
    {
        if (backward is null or { IsExact: true })
            return;
        var table = Terminal.Table("backward passes, the target's own", "operator", "recorded more", "ran more");
        foreach (var (name, count) in backward.OnlyRecorded.Take(MaxKinds))
            table.Row(name, Figures.Number(count), "");
        foreach (var (name, count) in backward.OnlyRan.Take(MaxKinds))
            table.Row(name, "", Figures.Number(count));
        Terminal.Write(table);
    }

    private static void WriteDifferences(VerificationResult? verification)
    {
        if (verification?.Differences is not { Length: > 0 })
            return;
        var table = Terminal.Table("differences from the trace", "node", "operator").AddColumn("what differs");
        foreach (var difference in verification.Differences.Take(MaxDifferences))
            table.Row(difference.Id?.ToString() ?? "", difference.Operator, difference.What);
        if (verification.Differences.Length > MaxDifferences)
            table.Row("", $"and {verification.Differences.Length - MaxDifferences} more", "");
        Terminal.Write(table);
    }
}
