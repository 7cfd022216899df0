using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>Writes the results of replays for machines; the fields are in <c>docs/result-format.md</c>.</summary>
internal static class ResultJson
{
    /// <summary>Writes the result of a replay.</summary>
    /// <param name="result">The result.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ReplayResult result, Stream stream) => DocumentContext.Write(DocumentOf(result), stream);

    /// <summary>The result of a replay as a document.</summary>
    /// <param name="result">The result.</param>
    internal static RunDocument DocumentOf(ReplayResult result) => new()
    {
        Format = RunDocument.FormatName,
        FormatVersion = RunDocument.CurrentVersion,
        Source = SourceOf(result.Plan.Source),
        Engine = new EngineDocument
        {
            Name = result.Engine.Name,
            Device = result.Engine.Device,
            Threads = result.Engine.Threads,
            Versions = result.Engine.Versions,
            Settings = result.Engine.Settings.IsEmpty ? null : result.Engine.Settings,
            Notes = result.Engine.Notes.IsEmpty ? null : result.Engine.Notes,
            Clock = result.Clock,
        },
        Program = ProgramOf(result.Program, result.Plan.Level.Word()),
        Host = HostDocument.Of(result.Host),
        Options = new RunOptionsDocument(result.Iterations.SamplesNs.Length, result.Options.Warmup ?? 0, result.Options.Seed,
            result.Options.Pace.ToString().ToLowerInvariant()),
        Coverage = CoverageDocument.Of(result.Plan, result.Verification?.Classes),
        Reference = ReferenceOf(result.Plan.Times),
        Baseline = result.Plan.Baseline,
        Iterations = SamplesDocument.Of(result.Iterations),
        CpuTimeNs = (long)Math.Round(result.CpuTimeNs),
        Memory = new MemoryDocument
        {
            BaselineBytes = result.Memory.BaselineBytes,
            PeakBytes = result.Memory.PeakBytes,
            UsedBytes = result.Memory.UsedBytes,
            PlannedPeakBytes = result.Memory.PlannedPeakBytes,
            AllocatedBytes = (result.Engine.IsOnHost ? result.Instrumented?.HostMemory : result.Instrumented?.DeviceMemory)?.PeakBytes,
            Device = result.Memory.Device,
        },
        System = result.System,
        Operators = GroupsOf(result),
        Verification = VerificationDocument.Of(result.Verification) with { Reason = result.WhyNotVerified },
        Pace = result.Pace is { } pace ? new PaceDocument(pace.Waits, pace.WaitedNs, pace.Late, pace.WorstLateNs) : null,
        NonFinite = result.NonFinite?.Select(f => result.Plan.Operators[f.Operator] is var op
            ? new NonFiniteDocument(op.Id.Segment == 0 ? null : op.Id.Segment, op.Id.Node, op.Schema.FullName, f.Reason) : null!)
            .ToImmutableArray(),
    };

    internal static SourceDocument SourceOf(PlanSource source) =>
        new() { Trace = source.Name, Sha256 = source.Digest, Schema = source.SchemaVersion, Iteration = source.Iteration };

    internal static ProgramDocument ProgramOf(ReplayedProgram program, string level) => new()
    {
        Level = level,
        Form = "torchscript",
        Sha256 = program.Digest,
        Fitted = program.IsFitted,
        Changes = [.. program.Changes.GroupBy(c => c).Select(g =>
            new FitChangeDocument(g.Key.Operator, g.Count(), g.Key.Change, g.Key.By, g.Key.Reason))],
    };

    private static ReferenceDocument? ReferenceOf(PlanTimes? times) => times is null ? null : new ReferenceDocument
    {
        Source = times.Source,
        IterationNs = times.IterationNs,
        RecordedNs = times.RecordedNs,
        LinkedOperators = times.Operators.Count,
        UnlinkedOperators = times.Unlinked,
        DeviceNs = times.DeviceNs,
        UnexplainedNs = times.UnexplainedNs,
    };

    /// <summary>The groups that were timed, the longest first; then those that the replay does not have.</summary>
    private static ImmutableArray<OperatorGroupDocument> GroupsOf(ReplayResult result)
    {
        if (result.OperatorGroups.IsEmpty)
            return [];
        var planned = OperatorGroup.Of(result.Plan);
        var profiled = (result.Instrumented?.Operators ?? []).ToLookup(o => o.Name);
        bool hasKernels = result.Instrumented?.HasKernels == true;
        var rows = result.OperatorGroups.Concat(planned.Values.Where(k => result.OperatorGroups.All(g => g.Name != k.Name))
            .Select(k => new OperatorGroupTime(k.Name, 0, 0)));
        return [.. rows.Select(row => PlannedOf(row.Name) is var group ? new OperatorGroupDocument
        {
            Name = row.Name,
            Count = row.Count,
            TimeNs = (long)Math.Round(row.TimeNs),
            AddedCount = group.AddedCount > 0 ? group.AddedCount : null,
            AllocatedBytes = group.AllocatedBytes,
            OriginalCount = group.OriginalCount,
            OriginalNs = group.OriginalNs,
            DeviceNs = hasKernels ? profiled[row.Name].Sum(o => o.Kernels.Sum(k => k.DurationNs)) : null,
            Kernels = hasKernels ? profiled[row.Name].Sum(o => o.Kernels.Length) : null,
            OriginalDeviceNs = group.OriginalDeviceNs,
            OriginalKernels = group.OriginalKernels,
        } : null!)];

        OperatorGroup PlannedOf(string name) => planned.GetValueOrDefault(name) ?? OperatorGroup.Empty(name);
    }
}
