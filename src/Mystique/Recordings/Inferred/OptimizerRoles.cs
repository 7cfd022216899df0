using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>
/// What optimizers work on. Parameters, gradients and states have the same shapes, and a profile does not tell them apart; but the
/// optimizers of PyTorch (<c>torch/optim/*.py</c>) call the same operators with the same of them, parameter by parameter or on lists, in
/// the order of parameters.
/// </summary>
/// <param name="live">The tensors that there are.</param>
/// <param name="next">For each outermost operator, the next one.</param>
internal sealed class OptimizerRoles(LiveTensors live, Dictionary<ProfileNode, ProfileNode?> next)
{
    private readonly List<LiveTensor[]> _lists = [];
    private readonly Dictionary<(OptimizerRole Role, LiveTensor Of), LiveTensor> _states = [];
    private readonly HashSet<(string Operator, OptimizerRole Role, LiveTensor Of)> _done = [];
    private List<LiveTensor> _parameters = [];
    private LiveTensor? _parameter;
    private ProfileNode? _node;
    private OptimizerRole _lastWritten;
    private string _lastName = "";

    /// <summary>Whether an operator is one that optimizers call.</summary>
    public static bool IsKnown(string name) => name.StartsWith("aten::_foreach_", StringComparison.Ordinal)
        || name.StartsWith("aten::_fused_", StringComparison.Ordinal) || name is "aten::lerp_" or "aten::addcmul_" or "aten::addcdiv_"
        or "aten::mul_" or "aten::add_" or "aten::sqrt" or "aten::div" or "aten::div_" or "aten::add" or "aten::neg" or "aten::zero_";

    /// <summary>Learns which gradient is whose, when autograd has accumulated it.</summary>
    /// <param name="gradient">The gradient.</param>
    /// <param name="alike">What else it can be the gradient of.</param>
    public void Learn(LiveTensor gradient, LiveTensor[] alike)
    {
        if (gradient.GradientOf.Concat(alike).FirstOrDefault(p => p.Maker is null && !_states.ContainsKey((OptimizerRole.Gradient, p)))
            is not { } parameter)
            return;
        _states[(OptimizerRole.Gradient, parameter)] = gradient;
        _parameters.Add(parameter);
    }

    /// <summary>Remembers a list that an operator had.</summary>
    public void Note(LiveTensor[] list)
    {
        if (!_lists.Any(l => l.SequenceEqual(list)))
            _lists.Add(list);
    }

    /// <summary>The tensor of an argument of an optimizer's operator; null where no role tells.</summary>
    public LiveTensor? Choose(ProfileNode node, int argument, TensorValue wanted)
    {
        if (wanted.Shape.Length == 0 && !_parameters.Exists(p => p.Layout.Shape.Length == 0))
            return null; // Counters of steps, and numbers.
        string name = PlainName(node);
        if (_node != node)
            Begin(node, name, wanted);
        var role = RoleOf(node, name, argument);
        var found = role is OptimizerRole.Made
            ? live.Like(wanted, node.StartNs).FirstOrDefault(t => t is { Maker: not null, Pending: > 0, GradientOf.Count: 0 })
            : _parameter is null ? null
            : role == OptimizerRole.Parameter ? _parameter : StateOf(role, _parameter, wanted);
        if (found is null || !LiveTensors.Fits(found, wanted, anyStrides: true))
            return null;
        if (argument == 0 && role != OptimizerRole.Made)
            (_lastWritten, _lastName) = (role, name);
        return found;
    }

    /// <summary>Goes on to the next parameter where the operator has been called for this one.</summary>
    private void Begin(ProfileNode node, string name, TensorValue first)
    {
        _node = node;
        _parameters = [.. _parameters.Distinct().OrderBy(p => p.Id)];
        var role = RoleOf(node, name, 0);
        if (role == OptimizerRole.Made)
            return;
        bool IsFit(LiveTensor p) => LiveTensors.Fits(p, first, anyStrides: true) && !_done.Contains((name, role, p));
        if (_parameter is null || !IsFit(_parameter))
        {
            int last = _parameter is null ? -1 : _parameters.IndexOf(_parameter);
            _parameter = _parameters.Skip(last + 1).FirstOrDefault(IsFit) ?? _parameters.Find(IsFit);
            (_lastWritten, _lastName) = (OptimizerRole.Made, "");
            role = RoleOf(node, name, 0);
        }
        if (_parameter is not null)
            _done.Add((name, role, _parameter));
    }

    /// <summary>The tensors of a list; null where no role tells.</summary>
    public LiveTensor[]? ChooseList(ProfileNode node, int argument, TensorValue[] wanted)
    {
        if (wanted.Length > 0 && wanted.All(w => w.Shape.Length == 0))
            return MadeList(wanted, node) ?? KnownList(wanted, node);
        string name = PlainName(node);
        var role = RoleOf(node, name, argument);
        if (argument == 0)
            (_lastWritten, _lastName) = (role, name);
        if (role == OptimizerRole.Made)
        {
            return MadeList(wanted, node) ?? (ParametersOf(wanted) is { } some
                && some.All(p => _states.ContainsKey((OptimizerRole.Gradient, p)))
                ? [.. some.Select(p => _states[(OptimizerRole.Gradient, p)])] : KnownList(wanted, node));
        }
        var parameters = ParametersOf(wanted);
        if (parameters is null)
            return null;
        return role == OptimizerRole.Parameter ? parameters : [.. parameters.Zip(wanted, (p, w) => StateOf(role, p, w))];
    }

    /// <summary>A list of what it has of all parameters; null where no role tells.</summary>
    public LiveTensor[]? ChooseAll(ProfileNode node, int argument)
    {
        _parameters = [.. _parameters.Distinct().OrderBy(p => p.Id)];
        return _parameters.Count == 0 ? null : ChooseList(node, argument, [.. _parameters.Select(p => p.Layout)]);
    }

    private static string PlainName(ProfileNode node) => node.Name.Replace("aten::_foreach_", "aten::", StringComparison.Ordinal);

    /// <summary>What an argument is, by the operator, the one before it and the one that comes next on tensors of that shape.</summary>
    private OptimizerRole RoleOf(ProfileNode node, string name, int argument)
    {
        if (name.StartsWith("aten::_fused_", StringComparison.Ordinal))
            return node.Schema!.Arguments[argument].Name switch
            {
                "self" => OptimizerRole.Parameter,
                "grads" => OptimizerRole.Gradient,
                "exp_avgs" or "momentum_buffer_list" or "state_sums" => OptimizerRole.FirstMoment,
                "exp_avg_sqs" => OptimizerRole.SecondMoment,
                "max_exp_avg_sqs" => OptimizerRole.Maximum,
                _ => OptimizerRole.Made,
            };
        switch (name, argument)
        {
            case ("aten::lerp_", 0):
                return OptimizerRole.FirstMoment;
            case ("aten::lerp_" or "aten::addcmul_", 1 or 2):
                return OptimizerRole.Gradient;
            case ("aten::addcmul_" or "aten::sqrt", 0):
                return OptimizerRole.SecondMoment;
            case ("aten::addcdiv_", 0):
                return OptimizerRole.Parameter;
            case ("aten::addcdiv_", 1):
                return HasState(OptimizerRole.FirstMoment) ? OptimizerRole.FirstMoment : OptimizerRole.Gradient; // Adagrad has none.
            case ("aten::mul_", 0):
                return NextOn(node) switch
                {
                    "aten::addcmul_" => OptimizerRole.SecondMoment,
                    "aten::lerp_" or "aten::mul_" => OptimizerRole.Parameter,
                    "aten::add_" => OptimizerRole.FirstMoment,
                    _ => OptimizerRole.Made,
                };
            case ("aten::add_", 0) when HasTensor(node, 1):
                return _lastName == "aten::mul_" && _lastWritten == OptimizerRole.FirstMoment ? OptimizerRole.FirstMoment
                    : OptimizerRole.Parameter;
            case ("aten::add_", 1) when HasTensor(node, 1) && HasMade(node):
                return OptimizerRole.Made;
            case ("aten::add_", 1) when HasTensor(node, 1):
                // The operator itself has just been noted as the last one: a momentum was written to where it is a parameter's turn.
                return _lastWritten == OptimizerRole.Parameter && HasState(OptimizerRole.FirstMoment) ? OptimizerRole.FirstMoment
                    : OptimizerRole.Gradient;
            case ("aten::add", 0) when HasTensor(node, 1):
                return OptimizerRole.Gradient;
            case ("aten::add", 1) when HasTensor(node, 1):
                return OptimizerRole.Parameter;
            default:
                return OptimizerRole.Made;
        }
    }

    private bool HasState(OptimizerRole role) => (_parameter ?? _parameters.FirstOrDefault()) is { } parameter
        && _states.ContainsKey((role, parameter));

    /// <summary>Whether an argument is a tensor, or a list of them, and not a number.</summary>
    private static bool HasTensor(ProfileNode node, int argument) => argument < node.Arguments.Length
        && node.Arguments[argument] is TensorValue { Shape.Length: > 0 } or ListValue;

    /// <summary>Whether something is there that the optimizer has just made, for the argument after the first.</summary>
    private bool HasMade(ProfileNode node) => node.Arguments[1] is TensorValue wanted
        && live.Like(wanted, node.StartNs).Any(t => t is { Maker: not null, Pending: > 0, GradientOf.Count: 0 });

    /// <summary>The next operator whose first argument looks the same.</summary>
    private string NextOn(ProfileNode node)
    {
        var at = next.GetValueOrDefault(node);
        for (int i = 0; i < 12 && at is not null; i++, at = next.GetValueOrDefault(at))
            if (at.Arguments.FirstOrDefault() is { } first && node.Arguments[0].Tensors.Select(t => t.ElementCount)
                .SequenceEqual(first.Tensors.Select(t => t.ElementCount)))
                return PlainName(at);
        return "";
    }

    /// <summary>The parameters of a list's shapes, each once, in their order; null where there are not enough.</summary>
    private LiveTensor[]? ParametersOf(TensorValue[] wanted)
    {
        _parameters = [.. _parameters.Distinct().OrderBy(p => p.Id)];
        var taken = new HashSet<LiveTensor>();
        var list = new List<LiveTensor>();
        foreach (var w in wanted)
        {
            if (_parameters.Find(p => !taken.Contains(p) && LiveTensors.Fits(p, w, anyStrides: true)) is not { } found)
                return null;
            taken.Add(found);
            list.Add(found);
        }
        return [.. list];
    }

    private LiveTensor StateOf(OptimizerRole role, LiveTensor parameter, TensorValue wanted)
    {
        if (_states.TryGetValue((role, parameter), out var known))
            return known;
        return _states[(role, parameter)] = live.Add(wanted.Type == ScalarType.Undefined
            ? wanted with { Type = parameter.Layout.Type, ItemSizeBytes = parameter.Layout.ItemSizeBytes } : wanted, null);
    }

    /// <summary>The list that an operator made and nobody has used.</summary>
    private LiveTensor[]? MadeList(TensorValue[] wanted, ProfileNode node)
    {
        var taken = new HashSet<LiveTensor>();
        var list = new List<LiveTensor>();
        foreach (var w in wanted)
        {
            // Those made first come first.
            var found = live.Like(w, node.StartNs).LastOrDefault(t => t is { Maker: not null, Pending: > 0, GradientOf.Count: 0 }
                && !taken.Contains(t));
            if (found is null)
                return null;
            taken.Add(found);
            list.Add(found);
        }
        return [.. list];
    }

    private LiveTensor[]? KnownList(TensorValue[] wanted, ProfileNode node) => _lists.FindLast(l => l.Length == wanted.Length
        && l.All(t => !(t.Storage.FreedNs <= node.StartNs)) && l.Zip(wanted).All(p => LiveTensors.Fits(p.First, p.Second, true)));
}

/// <summary>What an optimizer has of each parameter.</summary>
internal enum OptimizerRole
{
    /// <summary>What it has just made.</summary>
    Made,

    /// <summary>The parameter itself.</summary>
    Parameter,

    /// <summary>Its gradient.</summary>
    Gradient,

    /// <summary>The first moment, or the momentum.</summary>
    FirstMoment,

    /// <summary>The second moment.</summary>
    SecondMoment,

    /// <summary>The largest second moment.</summary>
    Maximum,
}
