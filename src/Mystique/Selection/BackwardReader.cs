using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Finds the backward passes of a selection: what they start from, and whose gradients they accumulate. A function has the sequence number
/// of the forward operator that made it (<c>torch/csrc/autograd/function.h</c>); the engine runs the ready one with the highest number
/// first, and accumulates as soon as it can.
/// </summary>
internal sealed class BackwardReader
{
    /// <summary>What the engine puts around a function (<c>torch/csrc/autograd/engine.cpp</c>, <c>evaluate_function</c>).</summary>
    public const string Prefix = "autograd::engine::evaluate_function: ";

    /// <summary>The function that accumulates a gradient into a leaf's.</summary>
    public const string Accumulation = "torch::autograd::AccumulateGrad";

    private const string GraphRoot = "torch::autograd::GraphRoot";

    private static readonly Comparer<TraceNode> ById = Comparer<TraceNode>.Create((a, b) => a.Id.CompareTo(b.Id));

    private readonly StorageTimeline _timeline;
    private readonly long _first;
    private readonly HashSet<StorageGeneration> _made = [];
    private readonly HashSet<StorageGeneration?> _written = []; // In place, outside of functions: by an optimizer, most often.
    private readonly Dictionary<(long Thread, long Sequence), List<TraceNode>> _forward = [];
    private readonly Dictionary<(long Thread, long Sequence), List<TraceNode>> _calls = []; // Of functions of the job's own: no operators.
    private readonly List<TraceNode> _functions = [];
    private readonly bool _isCut; // Whether the last pass goes on after the selection.
    private readonly Dictionary<TraceNode, TraceNode> _within = []; // What ran within functions, other functions too: in which.

    private BackwardReader(Segment segment)
    {
        _timeline = segment.Timeline;
        _first = segment.Iteration?.FirstId ?? 0;
        long end = segment.Iteration?.EndId ?? long.MaxValue;
        var fromFloats = new Dictionary<TraceNode, bool>(); // Whether the outermost operator at or above a node takes a tensor of floats.
        // By hand, from the root on, for a hostile trace can nest deeper than the call stack.
        var pending = new Stack<TraceNode>([segment.Recording.Trace.Root]);
        while (pending.TryPop(out var node))
        {
            if (node.Parent is { } parent && (IsFunction(parent) ? parent : _within.GetValueOrDefault(parent)) is { } function)
                _within.Add(node, function);
            if (node.Parent is { } above && fromFloats.TryGetValue(above, out bool known))
                fromFloats.Add(node, known);
            else if (node.Schema is not null)
                fromFloats.Add(node, TensorLayout.TensorsOf(node.Inputs).Any(t => t.Type.IsFloating()));
            foreach (var child in node.Children)
                pending.Push(child);
        }
        foreach (var node in segment.Recording.Trace.Nodes.Where(n => n.Id >= _first && n.Id < end))
        {
            if (IsFunction(node))
                _functions.Add(node);
            else if (node.Schema is not null && !_within.ContainsKey(node))
                NoteForward(node, fromFloats[node]);
            else if (!_within.ContainsKey(node))
                NoteNumber(_calls, node);
        }
        _isCut = GoesOn(segment.Recording.Trace.Nodes.Where(n => n.Id >= end));
    }

    /// <summary>
    /// Whether a pass goes on after the selection: a function comes there before a forward operator that would have made it.
    /// </summary>
    private bool GoesOn(IEnumerable<TraceNode> later)
    {
        var numbers = new HashSet<(long Thread, long Sequence)>();
        bool hasForward = false;
        foreach (var node in later.Where(n => !_within.ContainsKey(n)))
        {
            if (IsFunction(node) && _functions.Count > 0)
                return !hasForward || BodyOf(node) is { SequenceId: { } number } body && CreatorOf(node) is not null
                    && !numbers.Contains((body.ForwardThreadId ?? body.ThreadId ?? 0, number));
            if (node.Schema is null)
                continue;
            hasForward = true;
            if (node.SequenceId is { } sequence)
                numbers.Add((node.ThreadId ?? 0, sequence));
        }
        return false;
    }

    /// <summary>
    /// The engine's own functions (<c>torch::autograd::CopySlices</c> of a write into a view): they have a number that no operator has.
    /// </summary>
    private static bool IsEngines(string name) => name.StartsWith("torch::autograd::", StringComparison.Ordinal);

    /// <summary>PyTorch's functions: of derivatives (<c>MulBackward0</c>), and the engine's.</summary>
    private static bool IsPyTorchs(string name) => IsEngines(name) || UnseenWork.Derivative().IsMatch(name);

    /// <summary>The passes of a selection, in order.</summary>
    public static ImmutableArray<BackwardPass> Of(Segment segment)
    {
        var reader = new BackwardReader(segment);
        BackwardPass[] passes = [.. reader.Split().Select(reader.Read)];
        if (reader._isCut && passes.Length > 0)
            passes[^1] = passes[^1] with { IsCut = true };
        return [.. passes];
    }

    /// <summary>Whether a node is what the engine puts around a function.</summary>
    internal static bool IsFunction(TraceNode node) => node.Name.StartsWith(Prefix, StringComparison.Ordinal);

    private void NoteForward(TraceNode node, bool fromFloats)
    {
        _written.UnionWith(OperatorDecomposer.WrittenBy(node, _timeline));
        NoteNumber(_forward, node);
        // What an operator makes of no tensor is a leaf, too: noise that requires a gradient.
        if (!fromFloats)
            return;
        foreach (var made in _timeline.OutputsOf(node))
            if (made?.Birth is { } birth && birth.Id >= _first)
                _made.Add(made);
    }

    private static void NoteNumber(Dictionary<(long Thread, long Sequence), List<TraceNode>> numbers, TraceNode node)
    {
        if (node.SequenceId is not { } sequence)
            return;
        if (!numbers.TryGetValue((node.ThreadId ?? 0, sequence), out var list))
            numbers.Add((node.ThreadId ?? 0, sequence), list = []);
        list.Add(node);
    }

    /// <summary>
    /// The functions of each pass; those that ran within a function are of passes of their own, and the one around them goes on. One ends
    /// where a forward operator runs outside of functions, or where a function has a higher number than the one before it, which the engine
    /// would have run first, or has run already in this pass.
    /// </summary>
    private IEnumerable<List<TraceNode>> Split() =>
        _functions.GroupBy(f => _within.GetValueOrDefault(f)).SelectMany(Split).OrderBy(p => p[0].Id);

    private static IEnumerable<List<TraceNode>> Split(IEnumerable<TraceNode> functions)
    {
        var pass = new List<TraceNode>();
        long? number = null;
        var ran = new HashSet<(long? Thread, long Number, string Name)>();
        foreach (var function in functions)
        {
            long? own = BodyOf(function)?.SequenceId;
            bool isAgain = own is { } known && !ran.Add((BodyOf(function)!.ForwardThreadId, known, function.Name));
            if (pass.Count > 0 && (own > number || isAgain || HasForwardBetween(pass[^1], function)))
            {
                yield return pass;
                (pass, number) = ([], null);
                ran.Clear();
                if (own is { } first)
                    ran.Add((BodyOf(function)!.ForwardThreadId, first, function.Name));
            }
            pass.Add(function);
            number = own ?? number;
        }
        if (pass.Count > 0)
            yield return pass;
    }

    /// <summary>Whether the caller ran an operator after a function and before the next one.</summary>
    private static bool HasForwardBetween(TraceNode before, TraceNode after)
    {
        if (before.Parent is not { } parent || parent != after.Parent)
            return false;
        // Children come by rising id: those between stand next to one another.
        for (int i = parent.Children.BinarySearch(before, ById) + 1; parent.Children[i] != after; i++)
            if (!IsFunction(parent.Children[i]) && (SegmentSelector.IsOperator(parent.Children[i])
                || SegmentSelector.OutermostBelow(parent.Children[i], UnseenWork.None).Any()))
                return true;
        return false;
    }

    /// <summary>The function itself: the node below the engine's, by the name that it has there.</summary>
    private static TraceNode? BodyOf(TraceNode function) =>
        function.Children.FirstOrDefault(c => c.Scope == RecordScope.BackwardFunction || c.Name == function.Name[Prefix.Length..]);

    private static bool IsAccumulation(TraceNode function) => function.Name.AsSpan(Prefix.Length).SequenceEqual(Accumulation);

    private BackwardPass Read(List<TraceNode> functions)
    {
        var made = new Dictionary<(long, long, string), (TraceNode Function, int Order, int Place)>();
        var gradients = new List<(TraceNode Node, TensorValue? Gradient, (TraceNode Function, int Order, int Place)? Source)>();
        int operators = 0;
        var hooks = new Dictionary<TraceNode, ImmutableArray<TraceNode>>(); // By function, the operators that hooks ran.
        TraceNode? making = null, otherStart = null;
        // Several results have a function before all others, which the engine makes (`torch/csrc/autograd/functions/basic_ops.h`).
        var first = functions.Find(f => NameOf(f) != GraphRoot) ?? functions[0];
        foreach (var function in functions)
        {
            var inside = SegmentSelector.OutermostBelow(function, UnseenWork.None).ToList();
            operators += inside.Count;
            making ??= IsPyTorchs(NameOf(function)) ? inside.FirstOrDefault(o => o.SequenceId is not null) : null;
            if (function != first && !IsAccumulation(function)
                && TensorLayout.TensorsOf(BodyOf(function)?.Inputs ?? []).Where(t => !t.IsUndefined).ToArray() is { Length: > 0 } own
                && !own.Any(t => made.ContainsKey(KeyOf(t)))
                && !inside.Any(o => o.Id < BodyOf(function)!.Id && TensorLayout.TensorsOf(o.Outputs).Any(t => KeyOf(t) == KeyOf(own[0]))))
                otherStart ??= function;
            if (IsAccumulation(function))
            {
                NoteHook(function, inside);
                var node = BodyOf(function) ?? function;
                var gradient = TensorLayout.TensorsOf(node.Inputs).FirstOrDefault(t => !t.IsUndefined);
                // What a hook changed, it got from where the gradient came from.
                var given = gradient is null || made.ContainsKey(KeyOf(gradient)) ? gradient : inside.TakeWhile(o => o.Id < node.Id)
                    .SelectMany(o => TensorLayout.TensorsOf(o.Inputs)).FirstOrDefault(t => made.ContainsKey(KeyOf(t)));
                gradients.Add((node, gradient, given is not null && made.TryGetValue(KeyOf(given), out var source) ? source : null));
                continue;
            }
            // What a function hands on as it is, and what its operators make, by the place among their results.
            foreach (var (place, tensor) in TensorLayout.TensorsOf(BodyOf(function)?.Inputs ?? []).Index())
                made[KeyOf(tensor)] = (function, -1, place);
            foreach (var (order, op) in inside.Index())
                foreach (var (place, tensor) in TensorLayout.TensorsOf(op.Outputs).Index())
                    made[KeyOf(tensor)] = (function, order, place);
            NoteHook(function, inside);
        }
        void NoteHook(TraceNode function, List<TraceNode> inside) => hooks.Add(function,
            [.. HookWork.Of(inside, function, BodyOf(function), IsAccumulation(function), t => made.ContainsKey(KeyOf(t)))]);

        BackwardFunction[] steps = [.. functions.Select(f => StepOf(f, hooks[f]))];
        return new BackwardPass
        {
            Steps = [.. steps],
            Root = CreatorOf(first),
            StartGradient = StartOf(first),
            FirstGradient = FirstGradientOf(first),
            OtherStart = otherStart ?? functions.Find(f => NameOf(f) == GraphRoot),
            OfHook = steps.SelectMany(s => s.Hooks).FirstOrDefault(),
            Accumulated = new LeafBinder(_timeline, _made, _written, CreatorOf).Bind(gradients),
            IsNested = _within.ContainsKey(first),
            Creators = [.. steps.Where(f => f.Creator is not null).Select(f => f.Creator!)],
            Unmade = steps.FirstOrDefault(f => !IsEngines(f.Body.Name) && f is { IsOfTheJob: false, Creator: null })?.Body,
            OfTheJob = steps.FirstOrDefault(f => f.IsOfTheJob)?.Body,
            Making = making,
            OperatorCount = operators,
        };
    }

    private static string NameOf(TraceNode function) => function.Name[Prefix.Length..];

    private BackwardFunction StepOf(TraceNode function, ImmutableArray<TraceNode> hooks)
    {
        string name = NameOf(function);
        bool isOfTheJob = !IsPyTorchs(name);
        // The call of one of the job's own has its name, without what PyTorch adds to it (`torch/autograd/function.py`).
        var calls = isOfTheJob ? NumberedAs(_calls, function)?.FindAll(c => c.Id < function.Id && name == $"{c.Name}Backward") : null;
        var creator = IsAccumulation(function) || name == GraphRoot ? null : CreatorOf(function);
        return new BackwardFunction(function, BodyOf(function) ?? function, creator)
        {
            IsOfTheJob = isOfTheJob,
            IsAccumulation = IsAccumulation(function),
            Call = calls is { Count: > 0 } ? calls[^1] : null,
            Hooks = hooks,
        };
    }

    private static (long, long, string) KeyOf(TensorValue tensor) =>
        (tensor.TensorId, tensor.StorageKey, string.Join(',', tensor.Shape));

    /// <summary>The forward operator that made a function: the innermost, last one of its number; what came before it made none.</summary>
    private TraceNode? CreatorOf(TraceNode function) =>
        NumberedAs(_forward, function) is { } list ? LastBefore(list, function.Id) : null;

    private static List<TraceNode>? NumberedAs(Dictionary<(long Thread, long Sequence), List<TraceNode>> numbers, TraceNode function) =>
        BodyOf(function) is { SequenceId: { } sequence } body
            ? numbers.GetValueOrDefault((body.ForwardThreadId ?? body.ThreadId ?? 0, sequence))
                ?? numbers.GetValueOrDefault((body.ThreadId ?? 0, sequence)) : null;

    /// <summary>The last node before an id, of those in order.</summary>
    private static TraceNode? LastBefore(IReadOnlyList<TraceNode> nodes, long id)
    {
        int low = 0, high = nodes.Count;
        while (low < high)
            (low, high) = nodes[(low + high) / 2].Id < id ? ((low + high) / 2 + 1, high) : (low, (low + high) / 2);
        return low == 0 ? null : nodes[low - 1];
    }

    private StoredTensor? FirstGradientOf(TraceNode first) =>
        BodyOf(first) is { } body ? StoredTensor.FirstOf(body.Inputs, _timeline.InputsOf(body)) : null;

    /// <summary>The gradient that the caller gave: the first function's own, unless autograd made it just before.</summary>
    private TensorValue? StartOf(TraceNode first)
    {
        if (FirstGradientOf(first)?.Tensor is not { } gradient || first.Parent is not { } parent)
            return null;
        var before = LastBefore(parent.Children, first.Id);
        return before is { Name: "aten::ones_like" } && TensorLayout.TensorsOf(before.Outputs).Any(t => t.TensorId == gradient.TensorId)
            ? null : gradient;
    }
}
