using System.Globalization;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// The numbers of a table of values: <c>size(weight, 0) - 1</c>. Worked out for an operator of a plan; null where
/// something that it names is not there.
/// </summary>
internal abstract class ValueExpression
{
    /// <summary>The number for an operator.</summary>
    public abstract double? Evaluate(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors);

    /// <summary>Parses an expression that ends where the words do.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static ValueExpression Parse(string text)
    {
        var parser = new Parser(text);
        var expression = parser.ReadAll();
        return expression;
    }

    /// <summary>The slots of an argument or a result by its name; empty where it is no tensor, or undefined.</summary>
    public static IReadOnlyList<Slot?> SlotsOf(PlannedOperator op, string name)
    {
        if (op.Schema.PlaceOf(name) is { } place)
            return op.Arguments[place].Slots;
        return name.StartsWith("out", StringComparison.Ordinal) && int.TryParse(name.AsSpan(3), out int result)
            && result < op.Results.Length
            ? op.Results[result].Slots : [];
    }

    private sealed class Number(double value) : ValueExpression
    {
        public override double? Evaluate(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors) => value;
    }

    private sealed class ArgumentNumber(string name) : ValueExpression
    {
        public override double? Evaluate(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors)
        {
            if (op.Schema.PlaceOf(name) is not { } place)
                return null;
            var literal = op.Arguments[place].Literal is NoneValue or null && op.Schema.Arguments[place].Default is { } text
                ? DefaultValue.Parse(text) : op.Arguments[place].Literal;
            return literal switch
            {
                IntValue value => value.Value,
                DoubleValue value => value.Value,
                BoolValue value => value.Value ? 1 : 0,
                IntListValue { Items: [var only] } => only,
                _ => null,
            };
        }
    }

    private sealed class TensorNumber(string function, string tensor, ValueExpression? dimension) : ValueExpression
    {
        public override double? Evaluate(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors)
        {
            if (SlotsOf(op, tensor) is not [{ } slot, ..] || tensors[slot.Index].IsUndefined)
                return null;
            var shape = tensors[slot.Index].Shape;
            if (function == "dims")
                return shape.Length;
            if (function == "count")
                return shape.Aggregate(1L, (product, size) => product * size);
            if (dimension!.Evaluate(op, tensors) is not { } at)
                return null;
            int index = (int)(at < 0 ? at + shape.Length : at);
            return index >= 0 && index < shape.Length ? shape[index] : null;
        }
    }

    private sealed class Binary(string sign, ValueExpression left, ValueExpression right) : ValueExpression
    {
        public override double? Evaluate(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors) =>
            (left.Evaluate(op, tensors), right.Evaluate(op, tensors)) is not ({ } a, { } b) ? null : sign switch
            {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => b == 0 ? null : Math.Floor(a / b),
                "min" => Math.Min(a, b),
                "max" => Math.Max(a, b),
                _ => a == b ? 1 : 0,
            };
    }

    /// <summary>Recursive descent: comparison, sum, product, atom.</summary>
    private sealed class Parser(string text)
    {
        private const int MaxDepth = 32;

        private int _at;
        private int _depth;

        public ValueExpression ReadAll()
        {
            var expression = ReadComparison();
            Skip();
            return _at == text.Length ? expression : throw Unexpected();
        }

        private ValueExpression ReadComparison()
        {
            var left = ReadSum();
            return TryTake("==") ? new Binary("==", left, ReadSum()) : left;
        }

        private ValueExpression ReadSum()
        {
            var left = ReadProduct();
            while (true)
            {
                if (TryTake("+"))
                    left = new Binary("+", left, ReadProduct());
                else if (TryTake("-"))
                    left = new Binary("-", left, ReadProduct());
                else
                    return left;
            }
        }

        private ValueExpression ReadProduct()
        {
            var left = ReadAtom();
            while (true)
            {
                if (TryTake("*"))
                    left = new Binary("*", left, ReadAtom());
                else if (TryTake("/"))
                    left = new Binary("/", left, ReadAtom());
                else
                    return left;
            }
        }

        private ValueExpression ReadAtom()
        {
            if (++_depth > MaxDepth)
                throw new FormatException("an expression that nests too deeply");
            try
            {
                if (TryTake("("))
                    return Closed(ReadComparison());
                string word = ReadWord();
                if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
                    return new Number(number);
                if (!SchemaParser.IsIdentifier(word))
                    throw new FormatException($"'{word}' is neither a number nor a name");
                if (!TryTake("("))
                    return new ArgumentNumber(word);
                switch (word)
                {
                    case "min" or "max":
                        var left = ReadComparison();
                        Take(",");
                        return Closed(new Binary(word, left, ReadComparison()));
                    case "size":
                        string tensor = ReadWord();
                        Take(",");
                        return Closed(new TensorNumber(word, tensor, ReadComparison()));
                    case "count" or "dims":
                        return Closed(new TensorNumber(word, ReadWord(), null));
                    default:
                        throw new FormatException($"there is no function '{word}': there are size, count, dims, min and max");
                }
            }
            finally
            {
                _depth--;
            }
        }

        private ValueExpression Closed(ValueExpression expression)
        {
            Take(")");
            return expression;
        }

        private string ReadWord()
        {
            Skip();
            int start = _at;
            if (_at < text.Length && text[_at] == '-')
                _at++;
            while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '_' or '.'))
                _at++;
            return _at > start ? text[start.._at] : throw Unexpected();
        }

        private void Take(string token)
        {
            if (!TryTake(token))
                throw Unexpected();
        }

        private bool TryTake(string token)
        {
            Skip();
            if (!text.AsSpan(_at).StartsWith(token))
                return false;
            _at += token.Length;
            return true;
        }

        private void Skip()
        {
            while (_at < text.Length && text[_at] == ' ')
                _at++;
        }

        private FormatException Unexpected() =>
            new(_at < text.Length ? $"'{text[_at..]}' cannot stand there" : "the line ends too early");
    }
}
