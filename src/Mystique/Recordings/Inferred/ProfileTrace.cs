using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Recordings.Serving;
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
    /// <param name="options">Which step (N of <c>ProfilerStep#N</c>, or the N-th of a serving engine's; null takes the step of the median
    /// time), and where its capture traces are.</param>
    /// <exception cref="MystiqueException">
    /// It is no profile, or has too little (MYS116, MYS118, MYS119, MYS127, MYS143), or no such step (MYS201).
    /// </exception>
    public static ExecutionTrace Read(string path, IOperatorKnowledge engine, RecordingOptions options)
    {
        var warnings = ImmutableArray.CreateBuilder<string>();
        var (profile, label, ns) = ProfileSteps.Read(path, options.Iteration, warnings);
        var notes = new List<string>();
        var captures = options.CaptureTraces is { } folder ? CaptureTraces.Open(folder) : CaptureTraces.Beside(path);
        int? rank = profile.Distributed?.Rank;
        (profile, var graphs) = GraphJoin.Join(profile, label, () => captures?.Of(rank, notes), notes);
        var custom = CustomCalls.Rewrite(profile, engine, label);
        profile = custom.Profile;
        var tree = ProfileTree.Of(profile);
        var knowledge = new ResultKnowledge(engine, profile.Allocations.Count > 0);
        knowledge.Prepare(tree.Nodes);
        var counts = FlowSolver.Solve(tree, knowledge);
        string device = profile.Events.Any(e => e.IsOnDevice) ? "cuda:0" : DeviceName.Host;
        var trace = Build(tree, custom, path, device);
        Report(warnings, trace, knowledge, counts, profile);
        var times = ProfileLinker.Link(trace, Numbered(profile, tree, trace));
        warnings.AddRange(notes);
        return trace with
        {
            OwnTimes = ns is { } step ? times with { IterationNs = step } : times,
            Serving = ServingOf(label, graphs, times),
            Warnings = warnings.ToImmutable(),
        };
    }

    /// <summary>
    /// Why the work of an operator that the engine does not have is not done; empty where what is within it does it, and of all else.
    /// </summary>
    private static string NotRunOf(ProfileNode node, CustomStep custom, Dictionary<ProfileNode, int> work)
    {
        if (node.Details?.Compiler is { Length: > 0 } compiler)
            return $"a kernel that {compiler} compiled, whose source no profile has{(node.Details.Launch is { Length: > 0 } launch
                ? $": {launch}" : "")}";
        if (node is not { IsOperator: true, Schema: null } || node.Name == "record_param_comms"
            || node.Callers().Any(c => c.Schema is not null))
            return "";
        return custom.Replaced.GetValueOrDefault(node.Place) ?? custom.NotRun.GetValueOrDefault(node.Place)
            ?? ((work.Count > 0 ? node.HasOperators && !work.ContainsKey(node) : node.HasWork) ? "" : node.WhyNot);
    }

    private static ServingStep? ServingOf(StepLabel? label, GraphUse? graphs, LinkedProfile times) => label is null && graphs is null ? null
        : new ServingStep
        {
            Label = label?.Name,
            ContextRequests = label?.Context.Requests,
            GenerationRequests = label?.Generation.Requests,
            Tokens = label?.Tokens,
            Keys = label is { Context.Keys: { } context, Generation.Keys: { } generation } ? context + generation : null,
            GraphLaunches = graphs?.Launches ?? 0,
            JoinedLaunches = graphs?.Joined ?? 0,
            Capture = graphs?.Capture?.Source,
            CapturedBatch = graphs?.Capture?.Batch,
            DeviceNs = graphs?.DeviceNs ?? times.DeviceNs,
            GraphNs = graphs?.GraphNs ?? 0,
            ExplainedNs = times.DeviceNs - times.Unexplained.Sum(u => u.DurationNs),
            GraphKernels = graphs?.Kernels ?? 0,
            MatchedKernels = graphs?.Matched ?? 0,
        };

    private static ExecutionTrace Build(ProfileTree tree, CustomStep custom, string path, string device)
    {
        var profile = custom.Profile;
        var work = tree.WorkOf(profile);
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
            KernelBackend = n.Details?.Compiler ?? "",
            StandsFor = custom.StandIns.GetValueOrDefault(n.Place) ?? "",
            NotRun = NotRunOf(n, custom, work),
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
        return Files.FileDigest.Of(file);
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

    private static void Report(ImmutableArray<string>.Builder warnings, ExecutionTrace trace, ResultKnowledge knowledge,
        FlowCounts counts, KinetoProfile profile)
    {
        int operators = trace.Nodes.Count(n => ProfileLinker.IsOperatorName(n.Name));
        warnings.Add(string.Create(CultureInfo.InvariantCulture, $"it is a profile without an execution trace: of {operators:N0} ")
            + "operators the overloads and results are inferred, and which tensors are the same; "
            + string.Create(CultureInfo.InvariantCulture, $"{counts.Ambiguous:N0} of {counts.Inputs:N0} tensors among arguments have ")
            + string.Create(CultureInfo.InvariantCulture, $"several candidates, {counts.Externals:N0} come from outside"));
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
        var notRun = trace.Nodes.Where(n => n.NotRun.Length > 0).ToLookup(n => n.Children.Any(c => c.StandsFor.Length > 0),
            n => $"{n.Name}: {n.NotRun}");
        foreach (var (what, list) in (ReadOnlySpan<(string, IEnumerable<KeyValuePair<string, int>>)>)[
            ("left out", notRun[false].CountBy(n => n)), ("with others in their place", notRun[true].CountBy(n => n)),
            ("without results", knowledge.Unknown)])
            foreach (var (why, count) in list.OrderByDescending(l => l.Value).ThenBy(l => l.Key, StringComparer.Ordinal).Take(10))
                warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{count:N0} operator{(count == 1 ? "" : "s")} {what}: {why}"));
    }
}
