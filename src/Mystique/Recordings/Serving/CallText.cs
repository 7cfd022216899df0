using System.Globalization;
using System.Text;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Serving;

/// <summary>A call as a profile would have recorded it: an operator's name, and what it is called with.</summary>
/// <param name="Name">The operator, without its overload.</param>
/// <param name="Arguments">One for each of the operator's arguments.</param>
internal sealed record StandInCall(string Name, params CallArgument[] Arguments)
{
    /// <summary>Its arguments as a profile with <c>record_shapes</c> has them.</summary>
    public OperatorDetails Details()
    {
        string List(Func<CallArgument, string> of) => $"[{string.Join(',', Arguments.Select(of))}]";
        string text = string.Join('\n', List(a => Numbers(a.Shape)), List(a => Numbers(a.Strides)), List(a => $"\"{a.Type}\""),
            List(a => $"\"{a.Value}\""), "");
        return new OperatorDetails(new RecordedInputs(Encoding.UTF8.GetBytes(text)), null, null);
    }

    private static string Numbers(IEnumerable<long> numbers) =>
        $"[{string.Join(',', numbers.Select(n => n.ToString(CultureInfo.InvariantCulture)))}]";
}

/// <summary>An argument of such a call.</summary>
/// <param name="Type">As profiles write it: a tensor's element type, <c>Scalar</c>, <c>ScalarList</c>, or empty for None.</param>
/// <param name="Shape">A tensor's sizes.</param>
/// <param name="Value">A number, or a list of numbers.</param>
internal sealed record CallArgument(string Type, long[] Shape, string Value = "")
{
    /// <summary>None, and all else that a profile does not record.</summary>
    public static CallArgument None { get; } = new("", []);

    /// <summary>Contiguous strides, of a tensor.</summary>
    public IEnumerable<long> Strides => Shape.Select((_, i) => Shape.Skip(i + 1).Aggregate(1L, (product, size) => product * size));

    public static CallArgument Tensor(string type, params long[] shape) => new(type, shape);

    public static CallArgument Number(long value) => new("Scalar", [], value.ToString(CultureInfo.InvariantCulture));

    public static CallArgument Number(double value) => new("Scalar", [], value.ToString("0.0###########", CultureInfo.InvariantCulture));

    public static CallArgument Of(bool value) => new("Scalar", [], value ? "True" : "False");

    public static CallArgument List(params long[] values) =>
        new("ScalarList", [], $"[{string.Join(", ", values.Select(v => v.ToString(CultureInfo.InvariantCulture)))}]");
}
