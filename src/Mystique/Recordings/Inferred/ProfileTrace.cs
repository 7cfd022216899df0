using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Recordings.Inferred;

/// <summary>Makes an execution trace of a profile alone: what the profile does not have is inferred, and said to be.</summary>
internal static class ProfileTrace
{
    /// <summary>What the schema version of such a trace says.</summary>
    public const string SchemaVersion = "kineto";

    private const long ProcessNode = 1;

    /// <summary>Reads a profile and makes a trace of one of its steps.</summary>
    /// <param name="path">The profile's file.</param>
    /// <param name="engine">What some PyTorch knows of operators.</param>
    /// <param name="step">N of <c>ProfilerStep#N</c>; null takes the step of the median time.</param>
    /// <exception cref="MystiqueException">
    /// It is no profile, or has too little (MYS116, MYS118, MYS119, MYS127, MYS143), or no such step (MYS201).
    /// </exception>
    public static ExecutionTrace Read(string path, IOperatorKnowledge engine, long? step)
    {
        var profile = KinetoReader.Read(path, keepsDetails: true);
        return Of(profile, path, engine, step);
    }

    private static ExecutionTrace Of(KinetoProfile whole, string path, IOperatorKnowledge engine, long? step)
    {
        var warnings = ImmutableArray.CreateBuilder<string>();
        var profile = whole.Processes.Count > 1 ? whole.Of(whole.Processes[0]) : whole;
        if (whole.Processes.Count > 1)
            warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"it has {whole.Processes.Count} processes: {whole.Processes[0]} is taken"));
        CheckInputs(profile, path);
        profile = StepOf(profile, path, step, warnings);
        var tree = ProfileTree.Of(profile);
        var knowledge = new ResultKnowledge(engine, profile.Allocations.Count > 0);
        var leftOut = new SortedDictionary<string, int>(StringComparer.Ordinal);
        knowledge.Prepare(tree.Nodes, leftOut);
        var counts = FlowSolver.Solve(tree, knowledge);
        string device = profile.Events.Any(e => e.IsOnDevice) ? "cuda:0" : DeviceName.Host;
        var trace = Build(tree, profile, path, device);
        Report(warnings, tree, knowledge, leftOut, counts, profile);
        trace = trace with { Warnings = warnings.ToImmutable() };
        return trace with { OwnTimes = ProfileLinker.Link(trace, Numbered(profile, tree, trace)) };
    }

    private static void CheckInputs(KinetoProfile profile, string path)
    {
        if (!profile.Events.Any(e => e.Kind == KinetoKind.Operator))
            throw Problems.ProfileHasNoOperators(path, string.Join("; ", profile.Warnings));
        if (!profile.Events.Any(e => e.Details?.Inputs is not null))
            throw Problems.ProfileHasNoShapes(path);
    }

    /// <summary>The events of one step, with what they started on the device.</summary>
    private static KinetoProfile StepOf(KinetoProfile profile, string path, long? step, ImmutableArray<string>.Builder warnings)
    {
        var steps = profile.Events.Where(e => e.Kind == KinetoKind.Label && ProfilerStep.NumberOf(e.Name) is not null)
            .OrderBy(e => e.StartNs).DistinctBy(e => e.Name).ToArray();
        if (steps.Length == 0)
            return step is null ? profile : throw Problems.IterationMissing(path, step.Value, []);
        var numbers = steps.Select(s => ProfilerStep.NumberOf(s.Name)!.Value).ToArray();
        int place = step is { } wanted ? Array.IndexOf(numbers, wanted)
            : Array.IndexOf(steps, steps.OrderBy(s => s.DurationNs).ElementAt((steps.Length - 1) / 2));
        if (place < 0)
            throw Problems.IterationMissing(path, step!.Value, numbers);
        if (steps.Length > 1 && step is null)
            warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"it has {steps.Length} steps: ProfilerStep#{numbers[place]}, of the median time, is taken; --iteration names another"));
        var (from, to) = (steps[place].StartNs, steps[place].EndNs);
        bool IsWithin(KinetoEvent e) => e.StartNs >= from && e.StartNs < to;
        var calls = profile.Events.Where(e => e.Kind == KinetoKind.Runtime && IsWithin(e)).Select(e => e.Correlation).OfType<long>()
            .ToHashSet();
        return profile.With([.. profile.Events.Where(e => e.IsOnDevice
            ? e.Correlation is { } correlation ? calls.Contains(correlation) : IsWithin(e)
            : e.Kind == KinetoKind.Module ? e.StartNs < to && e.EndNs > from : IsWithin(e))],
            [.. profile.Allocations.Where(a => a.AtNs >= from && a.AtNs < to)], profile.StreamWaits);
    }

    private static ExecutionTrace Build(ProfileTree tree, KinetoProfile profile, string path, string device)
    {
        var threads = tree.Nodes.Select(n => n.Thread).Distinct().Index().ToDictionary(t => t.Item ?? long.MinValue, t => t.Index + 1L);
        var ids = tree.Nodes.Index().ToDictionary(n => n.Item, n => ProcessNode + threads.Count + n.Index + 1L);
        var nodes = new List<TraceNode>
        {
            new(ProcessNode, "[pytorch|profiler|execution_trace|process]") { ParentId = ProcessNode, Scope = RecordScope.UserScope },
        };
        nodes.AddRange(threads.Values.Select(t => new TraceNode(ProcessNode + t, "[pytorch|profiler|execution_trace|thread]")
        {
            ParentId = ProcessNode,
            ThreadId = t,
            Scope = RecordScope.UserScope,
        }));
        nodes.AddRange(tree.Nodes.Select(n => new TraceNode(ids[n], n.Name)
        {
            ParentId = n.Parent is { } parent ? ids[parent] : ProcessNode + threads[n.Thread ?? long.MinValue],
            ThreadId = threads[n.Thread ?? long.MinValue],
            RecordFunctionId = ids[n],
            SequenceId = n.Details?.Sequence,
            ForwardParentId = n.IsBackward && n.Forward is { } forward ? ids[forward] : null,
            ForwardThreadId = n.IsBackward && n.Forward is { } of ? threads[of.Thread ?? long.MinValue] : null,
            Scope = n.Kind == KinetoKind.Label ? RecordScope.UserScope : n.IsBackward ? RecordScope.BackwardFunction : RecordScope.Function,
            Schema = n.Schema,
            Inputs = n.Schema is null ? [.. n.Taken.Select(t => Of(t, device))] : Filled(n.Arguments, n.Taken, device),
            Outputs = n.Schema is null ? [] : ResultsOf(n, device),
        }));
        var places = nodes.Index().ToDictionary(n => n.Item.Id, n => n.Index);
        TraceLinker.LinkChildren(nodes, [.. nodes.Select(n => places[n.ParentId])], 0);
        return new ExecutionTrace
        {
            Source = path,
            SchemaVersion = SchemaVersion,
            ProcessId = profile.Processes.FirstOrDefault(),
            Time = "",
            InferredFrom = Path.GetFileName(path),
            Nodes = [.. nodes],
            Root = nodes[0],
            Digest = DigestOf(path),
            SizeBytes = new FileInfo(path).Length,
            UnknownAttributes = ImmutableSortedDictionary<string, long>.Empty,
            Warnings = [],
            HasStrides = true,
        };
    }

    /// <summary>SHA-256 of the file as it is.</summary>
    private static string DigestOf(string path)
    {
        using var file = Files.PlainFile.Open(path);
        return Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(file));
    }

    private static TensorValue Of(LiveTensor? tensor, string device) => tensor is null ? OverloadChooser.Undefined
        : tensor.Layout with { Device = device };

    /// <summary>A tensor that is not given back is undefined, not None.</summary>
    private static ImmutableArray<ArgumentValue> ResultsOf(ProfileNode node, string device)
    {
        var results = Filled(node.Results ?? [], node.Made, device);
        return [.. node.Schema!.Returns.Select((r, i) => i < results.Length && results[i] is not NoneValue ? results[i]
            : r.Type is { Kind: SchemaTypeKind.Named, Name: "Tensor" } ? OverloadChooser.Undefined : NoneValue.Instance)];
    }

    /// <summary>Arguments or results with the tensors that were found.</summary>
    private static ImmutableArray<ArgumentValue> Filled(ImmutableArray<ArgumentValue> values, List<LiveTensor?> tensors, string device)
    {
        int place = 0;
        ArgumentValue Next(ArgumentValue recorded)
        {
            if (place == tensors.Count)
                return recorded;
            if (tensors[place++] is not { } tensor)
                return OverloadChooser.Undefined;
            var found = tensor.Layout with { Device = device };
            return recorded is TensorValue { Type: not ScalarType.Undefined, Strides.IsDefault: false } look
                ? found with { Shape = look.Shape, Strides = look.Strides, ElementCount = look.ElementCount } : found;
        }
        return [.. values.Select(v => v switch
        {
            TensorValue => Next(v),
            ListValue list when list.Items.Any(i => i is TensorValue) => new ListValue(
                [.. list.Items.Select(i => i is TensorValue ? Next(i) : i)],
                $"GenericList[{string.Join(',', list.Items.Select(_ => "Tensor"))}]"),
            _ => v,
        })];
    }

    /// <summary>The profile with the nodes' numbers as the ids of their record functions, so that the two are joined by them.</summary>
    private static KinetoProfile Numbered(KinetoProfile profile, ProfileTree tree, ExecutionTrace trace)
    {
        int first = trace.Nodes.Length - tree.Nodes.Count; // Behind the process and its threads.
        var events = (KinetoEvent[])profile.Events.Clone();
        for (int i = 0; i < events.Length; i++)
            events[i].RecordFunctionId = null;
        foreach (var (index, node) in tree.Nodes.Index())
            events[node.Place].RecordFunctionId = trace.Nodes[first + index].Id;
        return profile.With(events, profile.Allocations, profile.StreamWaits);
    }

    private static void Report(ImmutableArray<string>.Builder warnings, ProfileTree tree, ResultKnowledge knowledge,
        SortedDictionary<string, int> leftOut, FlowCounts counts, KinetoProfile profile)
    {
        warnings.Add(string.Create(CultureInfo.InvariantCulture, $"it is a profile without an execution trace: of {tree.Nodes.Count(n =>
            n.IsOperator):N0} operators the overloads and results are inferred, and which tensors are the same; {counts.Ambiguous:N0} of ")
            + string.Create(CultureInfo.InvariantCulture, $"{counts.Inputs:N0} tensors among arguments have several candidates, ")
            + string.Create(CultureInfo.InvariantCulture, $"{counts.Externals:N0} come from outside"));
        if (counts.LostLists > 0)
            warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"{counts.LostLists:N0} lists of tensors are not recorded (indices, and lists of more than 30), and filled with what ")
                + string.Create(CultureInfo.InvariantCulture, $"fits; for {counts.MadeUp:N0} of them nothing does, and indices are ")
                + "made up");
        if (profile.Allocations.Count == 0)
            warnings.Add("it has no [memory] events (profile_memory=True): how long tensors live is inferred from their uses");
        if (knowledge.Assumed.Count > 0)
            warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"{knowledge.Assumed.Values.Sum():N0} arguments are not recorded, and taken to be the defaults: ")
                + string.Join(", ", knowledge.Assumed.OrderByDescending(a => a.Value).ThenBy(a => a.Key).Take(5).Select(a => a.Key)));
        foreach (var (what, list) in (ReadOnlySpan<(string, SortedDictionary<string, int>)>)[("left out", leftOut),
            ("without results", knowledge.Unknown)])
            foreach (var (why, count) in list.OrderByDescending(l => l.Value).Take(10))
                warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{count:N0} operator{(count == 1 ? "" : "s")} {what}: {why}"));
    }
}
