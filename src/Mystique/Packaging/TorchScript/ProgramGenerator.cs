using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Writes a plan as a TorchScript class. Tensors live in a list, <c>slots</c>, from which each function takes what it
/// needs and into which it puts what later functions need; a tensor leaves the list in the function that uses it
/// last, and its memory goes with its last use there. See <c>docs/package-format.md</c>.
/// </summary>
internal sealed class ProgramGenerator
{
    /// <summary>How each program starts: the list of tensors, and what a host does with it.</summary>
    public static readonly string Prologue =
        """
        class Benchmark(Module):
          __parameters__ = []
          __buffers__ = []
          slots : List[Tensor]
          devices : List[Device]
          holds : List[List[Tensor]]
          kept : List[number]
          def first(self: __torch__.Benchmark) -> NoneType:
            return None
          def resize(self: __torch__.Benchmark, n: int) -> NoneType:
            s = annotate(List[Tensor], [])
            e = torch.empty([0])
            for i in range(n):
              _0 = torch.append(s, e)
            self.slots = s
            return None
          def use_device(self: __torch__.Benchmark, t: Tensor) -> NoneType:
            d = self.devices
            _0 = torch.append(d, ops.prim.device(t))
            return None
          def put(self: __torch__.Benchmark, i: int, t: Tensor) -> NoneType:
            s = self.slots
            s[i] = t
            return None
          def get(self: __torch__.Benchmark, i: int) -> Tensor:
            s = self.slots
            return s[i]

        """.ReplaceLineEndings("\n");

    private readonly ReplayPlan _plan;
    private readonly int[] _firstUse;
    private readonly int[] _lastUse;
    private readonly HeldSlots _held;
    private readonly StringBuilder _text = new(Prologue);

    private ProgramGenerator(ReplayPlan plan)
    {
        _plan = plan;
        _firstUse = new int[plan.Tensors.Length];
        _lastUse = new int[plan.Tensors.Length];
        Array.Fill(_firstUse, int.MaxValue);
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            foreach (var slot in plan.Operators[i].InputSlots.Concat(plan.Operators[i].OutputSlots))
                (_firstUse[slot.Index], _lastUse[slot.Index]) = (Math.Min(_firstUse[slot.Index], i), i);
        }
        _held = HeldSlots.Of(plan);
    }

    /// <summary>Generates the program.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="operatorsPerFunction">The most operators of a function, at least 1; null takes what fits the plan.</param>
    public static BenchmarkProgram Generate(ReplayPlan plan, int? operatorsPerFunction = null)
    {
        var generator = new ProgramGenerator(plan);
        var schedule = ScheduleBuilder.Build(plan, operatorsPerFunction
            ?? (plan.Times is null ? BenchmarkProgram.DefaultOperatorsPerFunction : BenchmarkProgram.PacedOperatorsPerFunction),
            out int? unrecorded);
        foreach (var call in schedule)
            generator.WriteFunction(call);
        generator.Line("  def last(self: __torch__.Benchmark) -> NoneType:");
        generator.Line("    return None");
        return new BenchmarkProgram(generator._text.ToString(), schedule, unrecorded);
    }

    private void WriteFunction(ScheduledCall call)
    {
        var function = new FunctionScope(_plan, call, _firstUse, _lastUse, _held);
        Line($"  def {call.Function}(self: __torch__.Benchmark) -> NoneType:");
        Line("    s = self.slots");
        if (function.UsesDevices)
            Line("    d = self.devices");
        for (int i = call.First; i < call.First + call.Count; i++)
        {
            WriteOperator(i, function);
            foreach (var slot in _held.FreedAfter(i))
                Line($"    s[{BenchmarkProgram.PlaceOf(slot)}] = s[{BenchmarkProgram.EmptySlot}]");
        }
        Line("    return None");
    }

    private void WriteOperator(int index, FunctionScope function)
    {
        var op = _plan.Operators[index];
        foreach (var slot in op.InputSlots)
        {
            if (!function.Load(slot))
                continue;
            Line($"    t{slot} = s[{BenchmarkProgram.PlaceOf(slot)}]");
            if (function.IsFreedHere(slot))
                Line($"    s[{BenchmarkProgram.PlaceOf(slot)}] = s[{BenchmarkProgram.EmptySlot}]");
        }
        if (op.IsOfHost)
            return; // The host launches it, or makes the call.
        var held = HeldLists(op);
        if (held.Count > 0)
        {
            Line($"    self.holds = [{string.Join(", ", held.Select(a => TensorList(op.Arguments[a].Slots)))}]");
            Line("    hs = self.holds");
        }
        string call = CallText(op, held);
        bool isAnchored = function.IsAnchored(index, op, held.Count > 0);
        string results = ResultNames(op, index);
        Line(results.Length == 0 ? $"    {call}" : $"    {results} = {call}");
        WriteResults(op, index, function, isAnchored);
        if (held.Count > 0)
            Line("    self.holds = annotate(List[List[Tensor]], [])");
    }

    /// <summary>
    /// The arguments that are lists whose tensors are written to. The interpreter removes an operator that writes to
    /// tensors of a list literal, as if nobody could see it; a list that an attribute holds stays.
    /// </summary>
    private static List<int> HeldLists(PlannedOperator op)
    {
        var held = new List<int>();
        for (int i = 0; i < op.Arguments.Length; i++)
        {
            var type = op.Schema.Arguments[i].Type;
            if (type.AsList is not null && type.Alias is { IsWrite: true } && op.Arguments[i].Literal is null)
                held.Add(i);
        }
        return held;
    }

    private string CallText(PlannedOperator op, List<int> held)
    {
        var text = new StringBuilder();
        // Overloads that differ in what a trailing None stands for are told apart by its name: upsample_bilinear2d and its .vec.
        int named = op.Schema.Arguments.TakeWhile(a => !a.IsKeywordOnly).Count() - 1;
        if (named < 0 || op.Arguments[named].Literal is not NoneValue)
            named = -1;
        text.Append("ops.").Append(op.Schema.Namespace).Append('.').Append(op.Schema.Name).Append('(');
        for (int i = 0; i < op.Arguments.Length; i++)
        {
            var argument = op.Schema.Arguments[i];
            if (i > 0)
                text.Append(", ");
            if (argument.IsKeywordOnly || i == named)
                text.Append(argument.Name).Append('=');
            int hold = held.IndexOf(i);
            if (hold >= 0)
                text.Append(CultureInfo.InvariantCulture, $"hs[{hold}]");
            else
                WriteArgument(text, argument, op.Arguments[i]);
        }
        return text.Append(')').ToString();
    }

    private void WriteArgument(StringBuilder text, SchemaArgument argument, PlannedArgument value)
    {
        if (value.Literal is { } literal)
        {
            // Page-locked memory is the business of the device that runs it, not of the trace.
            if (argument.Name == "pin_memory" && literal is BoolValue)
                literal = NoneOrFalse(argument.Type);
            LiteralText.Write(text, argument.Type, literal, _plan.Devices);
        }
        else if (argument.Type.AsList is { } list)
        {
            text.Append(TensorList(value.Slots, list.Element!.IsOptional));
        }
        else if (value.Slots[0] is not { } slot || argument.Type.IsOptional && _plan[slot].IsUndefined)
        {
            text.Append("None");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"t{slot}");
        }
    }

    private static ArgumentValue NoneOrFalse(SchemaType type) => type.IsOptional ? NoneValue.Instance : new BoolValue(false);

    private static string TensorList(ImmutableArray<Slot?> slots, bool isOptional = false)
    {
        string items = string.Join(", ", slots.Select(s => s is { } slot ? $"t{slot}" : "None"));
        if (isOptional)
            return $"annotate(List[Optional[Tensor]], [{items}])";
        return slots.IsEmpty ? "annotate(List[Tensor], [])" : $"[{items}]";
    }

    private static bool IsListResult(PlannedOperator op, int result) => op.Schema.Returns[result].Type.AsList is not null;

    /// <summary>An item of a result that is a list; where it may be None, the program wants a tensor.</summary>
    private static string ItemText(PlannedOperator op, int result, string item) =>
        IsOfOptionals(op, result) ? $"torch._unwrap_optional({item})" : item;

    private static bool IsOfOptionals(PlannedOperator op, int result) => op.Schema.Returns[result].Type.AsList!.Element!.IsOptional;

    private static bool IsTensorResult(PlannedOperator op, int result) => op.Schema.Returns[result].Type.BaseName == "Tensor";

    /// <summary>
    /// Whether a result is one of the operator's own inputs, though its schema does not say so (<c>_c10d_functional::wait_tensor</c>):
    /// the interpreter would take it for a new tensor, and remove what only writes to it. So the input's name stays.
    /// </summary>
    private static bool IsOwnInput(PlannedOperator op, int result) =>
        op.Schema.Returns[result].Type is { AsList: null, Alias: null } && op.Results[result].Slots is [{ } slot]
        && op.InputSlots.Contains(slot);

    private static string ResultNames(PlannedOperator op, int index)
    {
        var names = new List<string>();
        for (int i = 0; i < op.Results.Length; i++)
        {
            bool isTensor = IsTensorResult(op, i) && !IsListResult(op, i) && op.Results[i].Slots is [not null] && !IsOwnInput(op, i);
            names.Add(isTensor ? $"t{op.Results[i].Slots[0]}" : $"r{index}_{i}");
        }
        // A tuple of one is written without its comma: these are results, not a tuple.
        return names.Count <= 1 ? string.Concat(names) : string.Join(", ", names);
    }

    private void WriteResults(PlannedOperator op, int index, FunctionScope function, bool isAnchored)
    {
        for (int i = 0; i < op.Results.Length; i++)
        {
            string name = $"r{index}_{i}";
            if (!IsTensorResult(op, i))
            {
                string value = op.Schema.Returns[i].Type.BaseName == "bool" ? $"int({name})" : name;
                Line($"    self.kept = annotate(List[number], [{value}])");
                isAnchored = true;
            }
            else if (IsListResult(op, i))
            {
                for (int item = 0; item < op.Results[i].Slots.Length; item++)
                    if (op.Results[i].Slots[item] is { } slot && function.IsReadOrStored(index, slot))
                        Line($"    t{slot} = {ItemText(op, i, $"{name}[{item}]")}");
                if (!isAnchored && IsOfOptionals(op, i) && op.Results[i].Slots[0] is { } some)
                {
                    Line($"    t{some} = {ItemText(op, i, $"{name}[0]")}");
                    Line($"    s[{BenchmarkProgram.DiscardSlot}] = t{some}");
                    Line($"    s[{BenchmarkProgram.DiscardSlot}] = s[{BenchmarkProgram.EmptySlot}]");
                }
                else if (!isAnchored)
                {
                    Line($"    self.holds = [{name}]");
                    Line("    self.holds = annotate(List[List[Tensor]], [])");
                }
                isAnchored = true;
            }
        }
        foreach (var slot in op.OutputSlots)
        {
            if (function.LeavesBehind(slot))
                Line($"    s[{BenchmarkProgram.PlaceOf(slot)}] = s[{BenchmarkProgram.EmptySlot}]");
            if (function.Define(slot))
                Line($"    s[{BenchmarkProgram.PlaceOf(slot)}] = t{slot}");
        }
        bool passesOn = Enumerable.Range(0, op.Results.Length).Any(i => IsTensorResult(op, i) && IsOwnInput(op, i));
        if (isAnchored && !passesOn || op.Results.IsEmpty)
            return;
        int first = Enumerable.Range(0, op.Results.Length).First(i => IsTensorResult(op, i) && (!passesOn || IsOwnInput(op, i)));
        Line($"    s[{BenchmarkProgram.DiscardSlot}] = "
            + $"{(op.Results[first].Slots[0] is null || IsOwnInput(op, first) ? $"r{index}_{first}" : $"t{op.Results[first].Slots[0]}")}");
        Line($"    s[{BenchmarkProgram.DiscardSlot}] = s[{BenchmarkProgram.EmptySlot}]");
    }

    private void Line(string text) => _text.Append(text).Append('\n');
}
