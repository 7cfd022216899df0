using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// Gives external tensors the contents that the operators which use them need, also where they use a view, a copy or a
/// cast. Where an operator's work depends on values that the replay computes itself (an index made by arithmetic, a mask
/// made by a comparison), it gets a prepared tensor in that place: it then does what the trace shows, whatever the data.
/// </summary>
internal sealed class ValueInference
{
    private readonly PlanBuilder _builder;
    private readonly PlanningOptions _options;
    private readonly Dictionary<Slot, Origin> _origins = []; // By slot, of tensors that the iteration makes.
    private readonly Dictionary<StorageId, List<Slot>> _traced = []; // By storage, the slots that have an origin.
    private readonly HashSet<Slot> _settled = []; // What the replay makes as the original did.
    private readonly HashSet<StorageId> _asked = []; // Storages whose contents some operator asked for.
    private readonly Dictionary<(Slot Slot, Initializer Contents), Slot> _prepared = [];

    private readonly RecordedValues _recorded;

    private ValueInference(PlanBuilder builder, PlanningOptions options, RecordedValues recorded)
    {
        _builder = builder;
        _options = options;
        _recorded = recorded;
    }

    /// <summary>Where the elements of a tensor come from.</summary>
    /// <param name="Slot">The external tensor that they are elements of; null for none.</param>
    /// <param name="Below">What they are below, where the replay makes them so; 0 for nothing.</param>
    /// <param name="IsWhole">Whether they are all of its elements, each once: only then do counts and orders hold for both.</param>
    private readonly record struct Origin(Slot? Slot, double Below, bool IsWhole = true);

    /// <summary>The plan with the contents that its operators need.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="options">The table, and how indices are spread.</param>
    /// <param name="recorded">What the trace recorded of the values of its tensors.</param>
    public static ReplayPlan Apply(ReplayPlan plan, PlanningOptions options, RecordedValues recorded)
    {
        var inference = new ValueInference(new PlanBuilder(plan), options, recorded);
        for (int i = 0; i < plan.Storages.Length; i++)
            if (plan.Storages[i].Initializer is { IsDefaultInteger: false } initializer && !initializer.Type.IsFloating())
                inference._asked.Add(new StorageId(i));
        var operators = plan.Operators.ToBuilder();
        for (int i = 0; i < operators.Count; i++)
        {
            recorded.Apply(operators[i], inference._builder, inference._asked);
            operators[i] = inference.Visit(operators[i]);
        }
        return inference._builder.Build(operators.ToImmutable());
    }

    private PlannedOperator Visit(PlannedOperator op)
    {
        var rows = _options.Values.RowsOf(op.Schema);
        if (rows is not null)
        {
            foreach (var row in rows)
                if (row.Word < ValueWord.Passes && row.Applies(op, _builder.Tensors))
                    op = Require(op, row);
        }
        ForgetWritten(op);
        // Counts that the replay makes of recorded lengths are the original's.
        if (op.Schema.QualifiedName == "aten::_pack_padded_sequence" && op.Arguments[1].Slots is [{ } lengths]
            && _builder[lengths].Storage is { } given && _builder[given].Initializer is { Kind: InitializerKind.Recorded })
            _settled.UnionWith(op.OutputSlots);
        if (rows is not null)
        {
            foreach (var row in rows)
                if (row.Word >= ValueWord.Passes && row.Applies(op, _builder.Tensors))
                    Note(op, row);
        }
        return op;
    }

    /// <summary>What is written to holds something else from there on.</summary>
    private void ForgetWritten(PlannedOperator op)
    {
        if (!op.Schema.IsMutating)
            return;
        for (int i = 0; i < op.Arguments.Length; i++)
        {
            if (!op.Writes(i))
                continue;
            foreach (var item in op.Arguments[i].Slots)
                if (item is { } slot && _builder[slot].Storage is { } storage && _traced.Remove(storage, out var slots))
                    slots.ForEach(s => _origins.Remove(s));
        }
    }

    private void Note(PlannedOperator op, ValueRow row)
    {
        Origin? origin = row.Word == ValueWord.Below
            ? row.Numbers[0].Evaluate(op, _builder.Tensors) is { } below ? new Origin(null, below) : null
            : ValueExpression.SlotsOf(op, row.Passed) is [{ } from] ? OriginOf(from) : null;
        if (origin is null)
            return;
        foreach (var item in ValueExpression.SlotsOf(op, row.Tensor))
        {
            if (item is not { } made || _builder[made] is not { IsExternal: false, Storage: { } storage } tensor)
                continue;
            bool isWhole = origin.Value is { Slot: { } source, IsWhole: true } && op.Schema.Name != "index_select"
                && tensor.ElementCount == _builder[source].ElementCount;
            _origins[made] = origin.Value with { IsWhole = isWhole };
            if (!_traced.TryGetValue(storage, out var slots))
                _traced.Add(storage, slots = []);
            slots.Add(made);
        }
    }

    private Origin? OriginOf(Slot slot) => _builder[slot].IsExternal ? new Origin(slot, 0)
        : _origins.TryGetValue(slot, out var origin) ? origin : null;

    private PlannedOperator Require(PlannedOperator op, ValueRow row)
    {
        for (int i = 0; i < op.Arguments.Length; i++)
        {
            if (op.Schema.Arguments[i].Name != row.Tensor || op.Arguments[i].Literal is not null)
                continue;
            var slots = op.Arguments[i].Slots;
            for (int place = 0; place < slots.Length; place++)
            {
                if (slots[place] is not { } slot || _builder[slot] is not { IsUndefined: false } tensor || tensor.Shape.Contains(0)
                    || ContentsOf(op, row, place, tensor) is not { } contents)
                    continue;
                contents = SplitPlaces.ContentsOf(op, row.Tensor, tensor, _builder.Tensors) ?? contents;
                // What the original computed, and the trace knows.
                if (!tensor.IsExternal && _recorded.ContentsOf(op, i, tensor, SpanOf(tensor)) is { } known)
                    contents = known;
                var replaced = Provide(slot, contents);
                if (replaced != slot)
                    op = op with
                    {
                        Arguments =
                        op.Arguments.SetItem(i, op.Arguments[i] with
                        {
                            Slots = op.Arguments[i].Slots.SetItem(place, replaced),
                            IsPrepared = true
                        })
                    };
            }
        }
        return op;
    }

    /// <summary>Bytes of the storage that a prepared tensor gets.</summary>
    private static long SpanOf(PlannedTensor tensor) =>
        TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes());

    /// <summary>Sees to it that a tensor has contents. Returns its slot, or that of the prepared one to use instead.</summary>
    private Slot Provide(Slot slot, Initializer contents)
    {
        var tensor = _builder[slot];
        if (_settled.Contains(slot))
            return slot;
        bool isFloat = contents.Kind == InitializerKind.Uniform && contents.Type.IsFloating();
        var origin = OriginOf(slot);
        if (origin is { Slot: { } external, IsWhole: var isWhole } && (isWhole || IsOfElements(contents)))
        {
            if (_builder[external].Storage is not { } id || _builder[id] is not { } storage
                || isFloat && !storage.Initializer!.Type.IsFloating())
                return slot;
            // A counter is written to: from 0 on, it is likeliest to stay within its bounds.
            if (storage.IsMutated && (isFloat || IsIndex(contents)))
                return slot;
            if (!storage.IsMutated && TryGive(_builder[external], id, contents))
                return slot;
        }
        if (isFloat || origin is { Slot: null } made && IsIndex(contents) && contents.Low == 0 && made.Below <= contents.High)
            return slot;
        if (!_prepared.TryGetValue((slot, contents), out var prepared))
            _prepared.Add((slot, contents), prepared = _builder.AddPrepared(tensor, contents));
        return prepared;
    }

    /// <summary>
    /// Whether contents hold for each element alone, and so for any part of them; counts and orders hold for all of them
    /// together.
    /// </summary>
    private static bool IsOfElements(Initializer contents) => IsIndex(contents) || contents.Kind == InitializerKind.Constant;

    /// <summary>Gives a storage its contents where that goes with what others asked for.</summary>
    private bool TryGive(PlannedTensor tensor, StorageId id, Initializer contents)
    {
        var storage = _builder[id];
        var present = storage.Initializer!;
        bool isWhole = tensor.ElementCount * tensor.Type.SizeBytes() == storage.SizeBytes;
        if (!isWhole && !IsOfElements(contents))
            return false; // Counts and orders hold for all of a tensor, which is only a part of the storage here.
        var wanted = contents with { Type = present.Type };
        if (_asked.Add(id))
        {
            _builder[id] = storage with { Initializer = wanted };
            return true;
        }
        if (present.Kind == InitializerKind.Recorded || present == wanted)
            return true;
        if (IsIndex(present) && IsIndex(wanted))
        {
            wanted = present with { Low = Math.Max(present.Low, wanted.Low), High = Math.Min(present.High, wanted.High) };
            if (wanted.Low >= wanted.High)
                return false;
            _builder[id] = storage with { Initializer = wanted };
            return true;
        }
        if (IsIndex(wanted))
            return present.Kind is InitializerKind.Ramp or InitializerKind.CoversRange or InitializerKind.Constant or InitializerKind.Mask
                && present.High <= wanted.High && present.Low >= wanted.Low;
        if (IsIndex(present) && wanted.High <= present.High)
        {
            _builder[id] = storage with { Initializer = wanted };
            return true;
        }
        return false;
    }

    private static bool IsIndex(Initializer contents) => contents.Kind is InitializerKind.Uniform or InitializerKind.Zipf;

    private Initializer? ContentsOf(PlannedOperator op, ValueRow row, int place, PlannedTensor tensor)
    {
        if (row.Word == ValueWord.Places)
            return PlaceContents(op, place, tensor);
        var numbers = new double[2];
        for (int i = 0; i < row.Numbers.Length; i++)
        {
            if (row.Numbers[i].Evaluate(op, _builder.Tensors) is not { } number)
                return null;
            numbers[i] = number;
        }
        var type = tensor.Type;
        double first = numbers[0];
        switch (row.Word)
        {
            case ValueWord.Index:
                return type.IsFloating() || type == ScalarType.Bool ? null : Index(type, first, row.Except?.Evaluate(op, _builder.Tensors));
            case ValueWord.Scalar:
                return tensor.Shape.IsEmpty ? Scalar(tensor, first, numbers[1]) : null;
            case ValueWord.Uniform:
                return type.IsFloating() ? new Initializer(InitializerKind.Uniform, type, first, numbers[1]) : null;
            case ValueWord.Constant:
                return new Initializer(InitializerKind.Constant, type, first, first);
            case ValueWord.Lengths:
                return first < 0 ? null : new Initializer(InitializerKind.Lengths, type, 0, numbers[1], first);
            case ValueWord.Permutation:
                return first < 1 ? null : new Initializer(InitializerKind.Permutation, type, 0, first, first);
            case ValueWord.DiagonallyDominant:
                return first < 1 || !type.IsFloating() ? null
                    : new Initializer(InitializerKind.DiagonallyDominant, type, 0.5 / first, 1.5 / first, first);
            default:
                return first < 0 || first == 0 && row.Word is ValueWord.CoversRange or ValueWord.Ramp ? null
                    : new Initializer(Enum.Parse<InitializerKind>(row.Word.ToString()), type, 0, first);
        }
    }

    /// <summary>A number: a float of [low, high), or the middle of both where that is one number; an integer next to the middle.</summary>
    private Initializer? Scalar(PlannedTensor tensor, double low, double high)
    {
        if (tensor.Type.IsFloating() && low < high)
            return new Initializer(InitializerKind.Uniform, tensor.Type, low, high);
        bool isGiven = tensor is { IsExternal: true, Storage: { } id } && !_builder[id].IsMutated && !_asked.Contains(id);
        double middle = tensor.Type.IsFloating() ? low : Math.Round((low + high) / 2);
        return isGiven && tensor.Type != ScalarType.Bool ? new Initializer(InitializerKind.Constant, tensor.Type, middle, middle) : null;
    }

    /// <summary>Indices of [0, high) without one number: of what is left and right of it, the larger part.</summary>
    private Initializer? Index(ScalarType type, double high, double? except)
    {
        double low = 0;
        if (except is { } hole && hole >= 0 && hole < high)
            (low, high) = hole < high / 2 ? (hole + 1, high) : (0, hole);
        if (low >= high)
            return null;
        return _options.IndexSkew > 0 ? new Initializer(InitializerKind.Zipf, type, low, high, _options.IndexSkew)
            : new Initializer(InitializerKind.Uniform, type, low, high);
    }

    /// <summary>
    /// <c>(self, indices[], …)</c>: what stands at place k indexes dimension k; a mask takes as many dimensions as it has.
    /// </summary>
    private Initializer? PlaceContents(PlannedOperator op, int place, PlannedTensor tensor)
    {
        if (op.Arguments[0].Slots is not [{ } self])
            return null;
        var indices = ValueExpression.SlotsOf(op, "indices");
        int dimension = 0;
        for (int i = 0; i < place; i++)
            dimension += indices[i] is { } at && _builder[at] is { Type: ScalarType.Bool or ScalarType.Byte } mask
                ? mask.Shape.Length : 1;
        var shape = _builder[self].Shape;
        if (dimension >= shape.Length || tensor.Type.IsFloating())
            return null;
        if (tensor.Type is not (ScalarType.Bool or ScalarType.Byte))
            return Index(tensor.Type, shape[dimension], null);
        // The number of true elements is the size of the dimension that the mask makes in the result, or the values' one.
        long elements = tensor.ElementCount;
        var made = ValueExpression.SlotsOf(op, "values") is [{ } values] ? _builder[values].Shape
            : op.Results is [{ Slots: [{ } result] }] ? _builder[result].Shape : [];
        bool isRead = op.Schema.Name is "index" or "_unsafe_index";
        int leading = indices.TakeWhile(s => s is null).Count();
        double count = isRead && leading < made.Length ? made[leading]
            : !isRead && made.Length == shape.Length - tensor.Shape.Length + 1 && leading < made.Length && made[leading] > 1 ? made[leading]
            : elements / 2;
        return count <= elements ? new Initializer(InitializerKind.Mask, tensor.Type, 0, count) : null;
    }
}
