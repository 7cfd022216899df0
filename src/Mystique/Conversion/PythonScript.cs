using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Conversion;

/// <summary>
/// Writes a benchmark as one script of plain PyTorch: tensors at the top, then the operators of an iteration, a line each, in the order and
/// with the labels of the original. It is for people to read and change; it knows nothing of packages.
/// </summary>
internal sealed class PythonScript
{
    /// <summary>Bytes of recorded contents of one tensor that are written out.</summary>
    private const int MaxData = 1 << 16;

    private readonly StringBuilder _text = new();
    private readonly Benchmark _benchmark;
    private readonly ReplayPlan _plan;

    private PythonScript(Benchmark benchmark) => (_benchmark, _plan) = (benchmark, benchmark.Plan);

    /// <summary>Writes it.</summary>
    /// <param name="benchmark">The benchmark, at the operators' level.</param>
    /// <returns>The script.</returns>
    public static string Of(Benchmark benchmark) => new PythonScript(benchmark).Write();

    private string Write()
    {
        string source = Comment(_plan.Source.Name);
        Line("#!/usr/bin/env python3");
        Line("# -*- coding: utf-8 -*-"); // Before all that a trace has: the first of two lines that name a coding is believed.
        Line(string.Create(CultureInfo.InvariantCulture,
            $"# An iteration of {source}: {_plan.Operators.Length} operators. Made by Mystique."));
        foreach (var lost in ReplacedGroup.Of(_plan))
            Line(string.Create(CultureInfo.InvariantCulture,
                $"# Not as recorded: {lost.Count} of {Comment(lost.Name)}, {Comment(lost.Instead)}"));
        foreach (var host in _plan.Operators.Where(o => o.IsOfHost).GroupBy(o => o.Schema.FullName))
            Line(string.Create(CultureInfo.InvariantCulture,
                $"# Not here: {host.Count()} of {Comment(host.Key)}, whose results are empty"));
        if (_plan.Storages.Count(s => s.Initializer is { } rule && IsTooLarge(rule)) is > 0 and var zeros)
            Line(string.Create(CultureInfo.InvariantCulture,
                $"# Zeros here: {zeros} tensors whose recorded contents are too large to write"));
        Line(EmbeddedText.Join("python/script/head.py").TrimEnd());
        Line("");
        Line("");
        WriteTensors();
        Line("");
        Line("");
        WriteOperators();
        Line("");
        Line("");
        Line(EmbeddedText.Join("python/script/measure.py").TrimEnd());
        return _text.ToString();
    }

    private void Line(string line) => _text.Append(line).Append('\n');

    /// <summary>Names of a trace within a comment: they end no line.</summary>
    private static string Comment(string text) => Diagnostics.PrintableText.Escape(text);

    private void WriteTensors()
    {
        Line("def tensors(device):");
        Line("    t, s = {}, {}");
        for (int i = 0; i < _plan.Storages.Length; i++)
            if (_plan.Storages[i] is { Initializer: { } rule } storage)
                Line(string.Create(CultureInfo.InvariantCulture, $"    s[{i}] = {ContentsOf(rule, storage)}.to({DeviceOf(storage.Device)})")
                    + (storage.IsMutated ? "  # written to" : ""));
        for (int i = 0; i < _plan.Tensors.Length; i++)
            if (_plan.Tensors[i] is { IsExternal: true, Storage: { } id } tensor)
                Line(string.Create(CultureInfo.InvariantCulture, $"    t[{i}] = s[{id.Index}].view({TypeOf(tensor.Type)})")
                    + $".as_strided({List(tensor.Shape)}, {List(tensor.Strides)}, {tensor.Offset})");
        var written = _plan.Storages.Index().Where(s => s.Item is { IsExternal: true, IsMutated: true }).Select(s => s.Index);
        Line($"    return t, [(s[i], s[i].clone()) for i in [{string.Join(", ", written)}]]");
    }

    private void WriteOperators()
    {
        Line("def iteration(t, device):");
        var last = new Dictionary<Slot, int>();
        for (int i = 0; i < _plan.Operators.Length; i++)
            foreach (var slot in _plan.Operators[i].InputSlots.Concat(_plan.Operators[i].OutputSlots))
                last[slot] = i;
        var nodes = _benchmark.Origin?.Segment.Recording.Trace.Nodes.ToDictionary(n => n.Id);
        string label = "";
        foreach (var (i, op) in _plan.Operators.Index())
        {
            string own = nodes?.GetValueOrDefault(op.Id.Node) is { } node ? LabelOf(node) : "";
            if (own != label)
                Line($"    # {(own.Length == 0 ? "(no label)" : Comment(own))}");
            label = own;
            Line(op.IsOfHost ? $"    # not here: {Comment(op.Schema.FullName)}" : $"    {CallOf(op)}");
            foreach (var made in op.IsOfHost ? op.OutputSlots.Where(s => !_plan[s].IsExternal) : [])
                Line($"    {NameOf(made)} = torch.empty({List(_plan[made].Shape)}, dtype={TypeOf(_plan[made].Type)})");
            int[] gone = [.. op.InputSlots.Concat(op.OutputSlots).Distinct().Where(s => last[s] == i && !_plan[s].IsExternal)
                .Select(s => s.Index)];
            if (gone.Length > 0)
                Line($"    del {string.Join(", ", gone.Select(g => $"t{g}"))}");
        }
        if (_plan.Operators.IsEmpty)
            Line("    pass");
    }

    /// <summary>The labels that a node is within, outermost first.</summary>
    private static string LabelOf(TraceNode node) => string.Join(" / ", node.Ancestors.Where(a => a.Schema is null
        && !Traces.PyTorch.TraceLinker.IsFrame(a) && ProfilerStep.NumberOf(a.Name) is null).Select(a => a.Name).Reverse());

    private string CallOf(PlannedOperator op)
    {
        var schema = op.Schema;
        var arguments = new List<string>();
        foreach (var (argument, value) in schema.Arguments.Zip(op.Arguments))
        {
            string text = ValueOf(argument.Type, value);
            if (argument.IsKeywordOnly && argument.Default is { } given && IsDefault(given, value))
                continue;
            arguments.Add(!argument.IsKeywordOnly ? text : Keywords.Contains(argument.Name) ? $"**{{\"{argument.Name}\": {text}}}"
                : $"{argument.Name}={text}");
        }
        static string Member(string of, string name) => Keywords.Contains(name) ? $"getattr({of}, \"{name}\")" : $"{of}.{name}";
        string packet = Member(Member("ops", schema.Namespace), schema.Name);
        string call = $"{Member(packet, schema.Overload.Length == 0 ? "default" : schema.Overload)}({string.Join(", ", arguments)})";
        if (op.Results.All(r => r.Slots.All(s => s is null)))
            return call;
        string Target(PlannedResult result, SchemaArgument of) => of.Type.AsList is not null
            ? $"[{string.Join(", ", result.Slots.Select(NameOf))}]" : result.Slots is [{ } slot] ? NameOf(slot) : "_";
        return $"{string.Join(", ", op.Results.Zip(schema.Returns, Target))} = {call}";
    }

    private string NameOf(Slot? slot) => slot is not { } known ? "_" : _plan[known].IsExternal ? $"t[{known.Index}]" : $"t{known.Index}";

    private string TensorOf(Slot? slot) => slot is not { } known || _plan[known].Storage is null ? "None" : NameOf(slot);

    private static bool IsDefault(string given, PlannedArgument value) => value.Literal is { } literal
        && DefaultValue.Parse(given) is { } parsed && parsed.Equals(literal);

    private string ValueOf(SchemaType type, PlannedArgument value) => value.Literal is { } literal ? LiteralOf(type, literal)
        : type.AsList is not null ? $"[{string.Join(", ", value.Slots.Select(TensorOf))}]" : value.Slots is [var slot] ? TensorOf(slot)
            : "None";

    private string LiteralOf(SchemaType type, ArgumentValue value)
    {
        switch (value)
        {
            case OpaqueValue { TypeName: "ComplexDouble" }:
                return "1"; // Any number stands for one without a value.
            case NoneValue or OpaqueValue:
                return "None";
            case IntListValue list:
                return $"[{string.Join(", ", list.Items)}]";
            case ListValue list:
                return $"[{string.Join(", ", list.Items.Select(i => LiteralOf(type.AsList?.Element ?? type, i)))}]";
            case DeviceValue device:
                return DeviceName.IsAccelerator(device.Name) ? "device" : "\"cpu\"";
            case StringValue text:
                bool IsPlain(char c) => char.IsAscii(c) && !char.IsControl(c) && c is not ('"' or '\\');
                return $"\"{string.Concat(text.Value.Select(c => IsPlain(c) ? c.ToString() : $"\\u{(int)c:x4}"))}\"";
            case BoolValue flag:
                return flag.Value ? "True" : "False";
            case DoubleValue number:
                return double.IsFinite(number.Value) ? Number(number.Value) : $"float(\"{(double.IsNaN(number.Value) ? "nan"
                    : number.Value > 0 ? "inf" : "-inf")}\")";
            case IntValue number:
                return type.BaseName switch
                {
                    "ScalarType" => TypeOf((ScalarType)number.Value),
                    "Layout" => number.Value == 0 ? "torch.strided" : "None",
                    "MemoryFormat" => number.Value is >= 0 and < 4 ? $"torch.{Formats[number.Value]}" : "None",
                    _ => number.Value.ToString(CultureInfo.InvariantCulture),
                };
            default:
                return "None";
        }
    }

    private static readonly string[] Formats = ["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"];

    private static string Number(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.All(c => char.IsAsciiDigit(c) || c == '-') ? text + ".0" : text;
    }

    private static readonly HashSet<string> Keywords = [.. ("False None True and as assert async await break class continue def del elif "
        + "else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield").Split(' ')];

    private static bool IsTooLarge(Initializer rule) => rule.Kind == InitializerKind.Recorded && rule.Data.Length > MaxData;

    private static string TypeOf(ScalarType type) => Enum.IsDefined(type) ? $"torch.{type.TorchName()}" : "None";

    private static string List(ImmutableArray<long> numbers) => $"[{string.Join(", ", numbers)}]";

    private string DeviceOf(int device) => DeviceName.IsAccelerator(_plan.Devices[device]) ? "device" : "\"cpu\"";

    private static string ContentsOf(Initializer rule, PlannedStorage storage)
    {
        long count = storage.SizeBytes / Math.Max(1, rule.Type.SizeBytes());
        string type = TypeOf(rule.Type);
        string low = Number(rule.Low), high = Number(rule.High);
        if (rule.Kind == InitializerKind.Recorded)
            return !IsTooLarge(rule) ? $"recorded(\"{Convert.ToBase64String(rule.Data.AsSpan())}\", {type})"
                : $"torch.zeros({count}, dtype={type})";
        string name = rule.Kind switch
        {
            InitializerKind.Constant => "constant",
            InitializerKind.Uniform => "uniform",
            InitializerKind.Ramp => "ramp",
            InitializerKind.Offsets => "offsets",
            InitializerKind.Mask => "mask",
            InitializerKind.CoversRange => "covers_range",
            InitializerKind.Partition => "partition",
            InitializerKind.Lengths => "lengths",
            InitializerKind.Permutation => "permutation",
            InitializerKind.Zipf => "zipf",
            _ => "dominant",
        };
        return $"{name}({count}, {type}, {low}, {high}{(rule.Parameter == 0 ? "" : $", {Number(rule.Parameter)}")})";
    }
}
