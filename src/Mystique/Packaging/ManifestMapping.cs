using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Packaging;

/// <summary>From a plan to its manifest and back. What comes back is checked: a package is untrusted input.</summary>
internal static class ManifestMapping
{
    private static readonly string[] KindNames =
        [.. Enum.GetNames<InitializerKind>().Select(System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName)];
    /// <summary>What stands for no tensor, and for no storage.</summary>
    private const int Nothing = -1;

    private static readonly string?[] RoleNames = [null, "added", "substitute", "autograd"]; // By OperatorRole.
    private static readonly string[] RemedyNames = ["missing", "substitute", "stand_in"]; // By Remedy.

    public static Manifest ToManifest(Benchmark package)
    {
        var plan = package.Plan;
        var schemas = new Dictionary<string, int>();
        ImmutableArray<ManifestOperator> operators = [.. plan.Operators.Select(op => ToManifest(op, schemas))];
        var memory = PlanMemory.Of(plan);
        var ends = StorageLives.PlacesOf(plan);
        var source = plan.Source;
        return new Manifest
        {
            Format = Manifest.FormatName,
            FormatVersion = Manifest.CurrentVersion,
            Ranks = [.. package.Ranks.Select(r => new ManifestRank(r.Rank, r.WorldSize))],
            Source = new ManifestSource
            {
                Trace = source.Name,
                Sha256 = source.Digest,
                Schema = source.SchemaVersion,
                Iteration = source.Iteration,
                OutermostOperators = source.OutermostCount,
                DecomposedOperators = source.DecomposedCount,
                HasStrides = source.HasStrides,
                HasBackward = source.HasBackward,
                Notes = source.Notes.IsEmpty ? null : source.Notes,
            },
            Coverage = new ManifestCoverage
            {
                SelectedOperators = plan.SelectedCount,
                ReplayedOperators = plan.ReplayedCount,
                SubstitutedOperators = plan.CountOf(Remedy.Substitute),
                StandIns = plan.CountOf(Remedy.StandIn),
                MissingOperators = plan.CountOf(Remedy.Missing),
                AddedOperators = plan.Operators.Count(o => o.Role == OperatorRole.Added),
            },
            Memory = new ManifestMemory(memory.ExternalBytes, memory.PeakBytes),
            Program = new ManifestProgram(Benchmark.ProgramFile, package.ProgramDigest),
            Devices = plan.Devices,
            Settings = plan.Settings is { } settings
                ? new ManifestSettings(settings.IsOfTrace ? "trace" : "capture", settings.Values) : null,
            Schemas = [.. schemas.Keys],
            Schedule = [.. package.Schedule.Select(c => new ManifestCall
            {
                Call = c.Function,
                First = c.First,
                Count = c.Count,
                Stream = c.Stream?.Number,
                Wait = c.Waits.IsEmpty ? null
                : c.Waits,
                Sync = c.HostWait is not null,
                SyncOn = c.HostWait?.Call,
                SyncNs = c.HostWait?.DurationNs ?? 0,
            })],
            Baseline = plan.Baseline,
            Times = ToManifest(plan.Times),
            Kernels = plan.KernelSources.IsEmpty ? null
                : [.. plan.KernelSources.Select(k =>
                new ManifestSourceFile(k.Key, Benchmark.DigestOf(System.Text.Encoding.UTF8.GetBytes(k.Value))))],
            Substitutions = [.. plan.Substitutions.Select(ToManifest)],
            Replaced = [.. plan.Replaced.Select(r =>
                new ManifestReplaced
                {
                    Segment = r.Id.Segment,
                    Node = r.Id.Node,
                    Operator = r.Name,
                    Remedy = RemedyNames[(int)r.Remedy],
                    By = r.By.Length == 0
                ? null : r.By,
                    Reason = r.Reason,
                })],
            Storages = [.. plan.Storages.Index().Select(s =>
                ToManifest(s.Item, ends.TryGetValue(new StorageId(s.Index), out int end) ? end : null))],
            Tensors = [.. plan.Tensors.Select(t =>
                new ManifestTensor
                {
                    Storage = t.Storage?.Index ?? Nothing,
                    Dtype = t.Type.TorchName(),
                    Shape = t.Shape,
                    Strides = t.Strides,
                    Offset = t.Offset,
                    External = t.IsExternal,
                    Number = t.IsWrappedNumber,
                    Opaque = t.IsOpaque,
                    Leaf = t.IsLeaf,
                    Gradient = t.Gradient?.Index,
                })],
            Operators = operators,
        };
    }

    private static ManifestOperator ToManifest(PlannedOperator op, Dictionary<string, int> schemas)
    {
        if (!schemas.TryGetValue(op.Schema.Text, out int schema))
            schemas.Add(op.Schema.Text, schema = schemas.Count);
        return new ManifestOperator
        {
            Segment = op.Id.Segment,
            Node = op.Id.Node,
            Schema = schema,
            Args = [.. op.Arguments.Select(a => a.Literal is null ? new ManifestArgument(PlacesOf(a.Slots), null, a.IsPrepared)
                : new ManifestArgument(null, new ManifestLiteral(a.Literal), false))],
            Outs = [.. op.Results.Select(r => PlacesOf(r.Slots))],
            Role = RoleNames[(int)op.Role],
            Kernel = op.IsKernel ? op.KernelFile : null,
            Inside = op.Inside.Length == 0 ? null : op.Inside,
            Collective = op.Collective is { } c ? new ManifestCollective(c.Name, c.GroupName, c.GroupSize, c.Elements,
                ManifestRankCall.Of(c.Call)) : null,
            Accumulates = op.Accumulates,
            Backward = op.Backward.IsEmpty ? null : [.. op.Backward.Select(b => ToManifest(b, schemas))],
        };
    }

    /// <summary>One number that an argument is equal to stands in the row, as it did before there were other conditions.</summary>
    private static ManifestSubstitution ToManifest(Substitution row) => new()
    {
        Operator = row.Operator,
        Argument = IsPlain(row) ? row.Conditions[0].Argument : null,
        Is = IsPlain(row) ? row.Conditions[0].Number : null,
        Conditions = IsPlain(row) || row.Conditions.IsEmpty ? null : [.. row.Conditions.Select(c => new ManifestCondition
        {
            Argument = c.Argument,
            Of = PropertyNames[(int)c.Property],
            Dimension = c.Property == ArgumentProperty.Size ? c.Dimension : null,
            Relation = c.Relation,
            Number = c.Property == ArgumentProperty.Type ? null : c.Number,
            Dtype = c.Property == ArgumentProperty.Type ? c.Type : null,
        })],
        Always = row.IsAlways,
        Calls = [.. row.Statements.Select(c => new ManifestSubstitute
        {
            Operator = c.Operator,
            Results = c.Results,
            Like = c.Like.Length == 0 ? null : c.Like,
            Args = [.. c.Arguments.Select(a => ImmutableArray.Create(a.Name, a.Text))],
        })],
    };

    private static readonly string[] PropertyNames = ["value", "dtype", "dim", "numel", "size"]; // In the order of the enumeration.

    private static bool IsPlain(Substitution row) => row.Conditions is [{ Property: ArgumentProperty.Value, Relation: "=" }];

    private static ManifestTimes? ToManifest(PlanTimes? times) => times is null ? null : new ManifestTimes
    {
        Source = times.Source,
        IterationNs = times.IterationNs,
        RecordedNs = times.RecordedNs,
        Unlinked = times.Unlinked,
        DeviceNs = times.DeviceNs,
        UnexplainedNs = times.UnexplainedNs,
        Operators = [.. times.Operators.Select(t =>
            new ManifestTime
            {
                Segment = t.Key.Segment,
                Node = t.Key.Node,
                StartNs = t.Value.StartNs,
                DurationNs = t.Value.DurationNs,
                Kernels = t.Value.Kernels,
                DeviceNs = t.Value.DeviceNs,
                Stream = t.Value.Stream?.Number,
                Sync = t.Value.Wait is not null,
                SyncNs = t.Value.Wait?.DurationNs ?? 0,
                SyncSegment = t.Value.Wait?.Until?.Segment ?? 0,
                SyncNode = t.Value.Wait?.Until?.Node,
            })],
        Kernels = [.. times.Kernels.Select(k => new ManifestKernel(k.Name, k.Count, k.DurationNs))],
        StreamWaits = times.StreamWaits?.Select(w => new ManifestStreamWait(w.AtNs, w.Stream.Number, w.RecordedNs, w.OnStream.Number))
            .ToImmutableArray(),
    };

    private static PlanTimes? ToTimes(ManifestTimes? times)
    {
        if (times is null)
            return null;
        return new PlanTimes
        {
            Source = times.Source,
            IterationNs = times.IterationNs,
            RecordedNs = times.RecordedNs,
            Operators = times.Operators.ToImmutableSortedDictionary(t => new OperatorId(t.Segment, t.Node), t =>
                new PlannedTime
                {
                    StartNs = t.StartNs,
                    DurationNs = t.DurationNs,
                    Kernels = t.Kernels,
                    DeviceNs = t.DeviceNs,
                    Stream = t.Stream is { } stream ? new StreamId(stream) : null,
                    Wait = t.Sync ? new PlannedWait(t.SyncNs, t.SyncNode is { } node ? new OperatorId(t.SyncSegment, node) : null) : null,
                }),
            Unlinked = times.Unlinked,
            Kernels = [.. times.Kernels.Select(k => new KernelTime(k.Name, k.Count, k.DurationNs))],
            UnexplainedNs = times.UnexplainedNs,
            DeviceNs = times.DeviceNs,
            StreamWaits = times.StreamWaits?
                .Select(w => new StreamWait(w.AtNs, new StreamId(w.Stream), w.RecordedNs, new StreamId(w.OnStream))).ToImmutableArray(),
        };
    }

    private static ManifestStorage ToManifest(PlannedStorage storage, int? until) => new()
    {
        Bytes = storage.SizeBytes,
        Device = storage.Device,
        Init = storage.Initializer is { } init
            ? new ManifestInitializer
            {
                Kind = KindNames[(int)init.Kind],
                Dtype = init.Type.TorchName(),
                Low = init.Low,
                High = init.High,
                Parameter = init.Parameter,
                Data = init.Data.IsEmpty ? null : [.. init.Data],
            }
            : null,
        Mutated = storage.IsMutated,
        Pinned = storage.IsPinned,
        Until = until,
    };

    /// <summary>Makes the plan of a manifest.</summary>
    /// <param name="manifest">The manifest; it keeps to <see cref="ManifestRules"/>.</param>
    /// <exception cref="FormatException">Its parts do not fit each other (<see cref="ManifestChecks"/>).</exception>
    public static ReplayPlan ToPlan(Manifest manifest)
    {
        var schemas = manifest.Schemas.Select(SchemaParser.Parse).ToImmutableArray();
        new ManifestChecks(manifest, schemas).Check();
        var source = manifest.Source;
        return new ReplayPlan
        {
            Source = new PlanSource
            {
                Name = source.Trace,
                Digest = source.Sha256,
                SchemaVersion = source.Schema,
                Iteration = source.Iteration,
                OutermostCount = source.OutermostOperators,
                DecomposedCount = source.DecomposedOperators,
                HasStrides = source.HasStrides,
                HasBackward = source.HasBackward,
                Notes = source.Notes ?? [],
            },
            Devices = manifest.Devices,
            Storages = [.. manifest.Storages.Select(s => ToStorage(s, manifest.Operators))],
            Tensors = [.. manifest.Tensors.Select(ToTensor)],
            Operators = [.. manifest.Operators.Select(o => ToOperator(o, schemas))],
            Replaced = [.. manifest.Replaced.Select(r =>
                new ReplacedOperator(new OperatorId(r.Segment, r.Node), r.Operator, (Remedy)Array.IndexOf(RemedyNames, r.Remedy), r.By
                    ?? "", r.Reason))],
            Times = ToTimes(manifest.Times),
            Baseline = manifest.Baseline?.Checked(),
            Settings = manifest.Settings is { } settings ? new RecordedSettings(settings.Source == "trace", settings.Values) : null,
            Substitutions = [.. manifest.Substitutions.Select(ToSubstitution)],
            LeastPeakBytes = manifest.Operators.Any(o => o.Role == RoleNames[(int)OperatorRole.Autograd]) ? manifest.Memory.PeakBytes : 0,
        };
    }

    private static Substitution ToSubstitution(ManifestSubstitution row) =>
        new(row.Operator, row.Argument is { } argument
                ? [new ArgumentCondition { Argument = argument, Relation = "=", Number = row.Is!.Value }]
                : [.. (row.Conditions ?? []).Select(c => new ArgumentCondition
                {
                    Argument = c.Argument,
                    Property = (ArgumentProperty)Array.IndexOf(PropertyNames, c.Of),
                    Dimension = c.Dimension ?? 0,
                    Relation = c.Relation,
                    Number = c.Number ?? 0,
                    Type = c.Dtype ?? "",
                })],
            row.Always,
            [.. row.Calls.Select(c => new SubstituteCall(c.Results, c.Like ?? "", c.Operator, [.. c.Args.Select(a => (a[0], a[1]))]))]);

    private static PlannedStorage ToStorage(ManifestStorage storage, ImmutableArray<ManifestOperator> operators) => new(storage.Bytes,
        storage.Device, storage.Init is { } init
            ? new Initializer((InitializerKind)Array.IndexOf(KindNames, init.Kind), ToType(init.Dtype), init.Low, init.High, init.Parameter)
            { Data = [.. init.Data ?? []] }
            : null,
        storage.Mutated)
    {
        IsPinned = storage.Pinned,
        Until = storage.Until is { } place ? new OperatorId(operators[place].Segment, operators[place].Node) : null,
    };

    private static PlannedTensor ToTensor(ManifestTensor tensor) => tensor.Storage < 0 ? PlannedTensor.Undefined
        : new PlannedTensor
        {
            Storage = new StorageId(tensor.Storage),
            Type = ToType(tensor.Dtype),
            Shape = tensor.Shape,
            Strides = tensor.Strides,
            Offset = tensor.Offset,
            IsExternal = tensor.External,
            IsWrappedNumber = tensor.Number,
            IsOpaque = tensor.Opaque,
            IsLeaf = tensor.Leaf,
            Gradient = tensor.Gradient is { } gradient ? new Slot(gradient) : null,
        };

    private static PlannedOperator ToOperator(ManifestOperator op, ImmutableArray<OperatorSchema> schemas) =>
        new(new OperatorId(op.Segment, op.Node), schemas[op.Schema],
        [.. op.Args.Select(a => a.V is { } literal ? new PlannedArgument([], literal.Value)
            : new PlannedArgument(SlotsOf(a.T!.Value), null, a.P))],
        [.. op.Outs.Select(o => new PlannedResult(SlotsOf(o)))], (OperatorRole)Array.IndexOf(RoleNames, op.Role))
        {
            KernelFile = op.Kernel ?? "",
            Inside = op.Inside ?? "",
            Collective = op.Collective is { } c ? new PlannedCollective(c.Name, c.Group, c.GroupSize, c.Elements)
            { Call = c.Call?.ToCall() } : null,
            Accumulates = op.Accumulates,
            Backward = [.. (op.Backward ?? []).Select(b => ToOperator(b, schemas))],
        };

    private static ImmutableArray<int> PlacesOf(ImmutableArray<Slot?> slots) => [.. slots.Select(s => s?.Index ?? Nothing)];

    private static ImmutableArray<Slot?> SlotsOf(ImmutableArray<int> places) =>
        [.. places.Select(p => p < 0 ? (Slot?)null : new Slot(p))];

    private static ScalarType ToType(string name) => ScalarTypes.TryFromTorchName(name, out var type) ? type
        : throw new FormatException($"{name} is no element type");
}
