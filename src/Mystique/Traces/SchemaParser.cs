using System.Collections.Immutable;
using Mystique.Traces.Text;

namespace Mystique.Traces;

/// <summary>
/// Parses operator schemas as PyTorch prints them
/// (<c>torch/csrc/jit/frontend/function_schema_parser.cpp</c>, <c>schema_type_parser.cpp</c>).
/// </summary>
internal ref struct SchemaParser
{
    /// <summary>Types nest by brackets and question marks; no real schema comes near this.</summary>
    private const int MaxDepth = 32;

    private readonly string _text;
    private int _position;
    private SchemaParser(string text) => _text = text;

    /// <summary>Parses a schema.</summary>
    /// <exception cref="FormatException">The text is no schema; the message says what was expected where.</exception>
    public static OperatorSchema Parse(string text)
    {
        if (text.Length > ReadLimits.SchemaLength)
            throw new FormatException($"it has {text.Length} characters (the limit is {ReadLimits.SchemaLength})");
        var parser = new SchemaParser(text);
        return parser.ParseSchema();
    }

    /// <summary>Whether a name is one that PyTorch's schema grammar allows: letters, digits and underscores.</summary>
    public static bool IsIdentifier(ReadOnlySpan<char> name)
    {
        if (name.IsEmpty || char.IsAsciiDigit(name[0]))
            return false;
        foreach (char c in name)
            if (!IsIdentifierPart(c))
                return false;
        return true;
    }

    private static bool IsIdentifierPart(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';

    private OperatorSchema ParseSchema()
    {
        string space = Identifier("the namespace");
        Expect("::");
        string name = Identifier("the operator's name");
        // A name may have more parts: fbgemm's "fbgemm::a::b" does not occur, "c10d::_allgather_base_" does.
        string overload = TryTake('.') ? Identifier("the overload's name") : "";
        Expect("(");
        var arguments = ParseArguments();
        SkipSpace();
        Expect("->");
        var returns = ParseReturns();
        SkipSpace();
        if (_position != _text.Length)
            throw Expected("the end");
        return new OperatorSchema(space, name, overload, arguments, returns, _text);
    }

    private ImmutableArray<SchemaArgument> ParseArguments()
    {
        var arguments = ImmutableArray.CreateBuilder<SchemaArgument>();
        bool keywordOnly = false;
        SkipSpace();
        while (!TryTake(')'))
        {
            if (arguments.Count > 0 || keywordOnly)
            {
                Expect(",");
                SkipSpace();
            }
            if (TryTake('*'))
            {
                keywordOnly = true;
            }
            else if (_text.AsSpan(_position).StartsWith("..."))
            {
                _position += 3;
            }
            else
            {
                var type = ParseType();
                SkipSpace();
                string name = Identifier("an argument's name");
                SkipSpace();
                string? value = null;
                if (TryTake('='))
                    value = ParseDefault();
                arguments.Add(new SchemaArgument(name, type, value, keywordOnly));
            }
            SkipSpace();
        }
        return arguments.ToImmutable();
    }

    private ImmutableArray<SchemaArgument> ParseReturns()
    {
        SkipSpace();
        if (!TryTake('('))
            return [ParseReturn()];
        var returns = ImmutableArray.CreateBuilder<SchemaArgument>();
        SkipSpace();
        while (!TryTake(')'))
        {
            if (returns.Count > 0)
            {
                Expect(",");
                SkipSpace();
            }
            if (_text.AsSpan(_position).StartsWith("..."))
            {
                _position += 3;
                SkipSpace();
                continue;
            }
            returns.Add(ParseReturn());
            SkipSpace();
        }
        return returns.ToImmutable();
    }

    /// <summary>A result may have a name, a single one too: <c>-> __torch__.torch.classes.c10d.Work _0</c>.</summary>
    private SchemaArgument ParseReturn()
    {
        var type = ParseType();
        SkipSpace();
        string name = _position < _text.Length && IsIdentifierPart(_text[_position]) ? Identifier("a result's name") : "";
        return new SchemaArgument(name, type, null, false);
    }

    private SchemaType ParseType()
    {
        int start = _position;
        SchemaType type;
        if (TryTake('('))
        {
            SkipBalanced('(', ')');
            type = new SchemaType(SchemaTypeKind.Other, _text[start.._position], null, null);
        }
        else
        {
            string name = QualifiedIdentifier();
            if (name is "Dict" or "Future" or "Await" or "RRef" or "Union" or "Tuple" && TryTake('('))
            {
                SkipBalanced('(', ')');
                type = new SchemaType(SchemaTypeKind.Other, _text[start.._position], null, null);
            }
            else
            {
                type = new SchemaType(SchemaTypeKind.Named, name == "SymInt" ? "int" : name, null, ParseAlias());
            }
        }
        for (int depth = 0; ; depth++)
        {
            if (depth > MaxDepth)
                throw Expected("a type that nests less deeply");
            if (TryTake('?'))
            {
                type = new SchemaType(SchemaTypeKind.Optional, "", type, type.Alias);
            }
            else if (TryTake('['))
            {
                while (_position < _text.Length && char.IsAsciiDigit(_text[_position]))
                    _position++;
                Expect("]");
                type = new SchemaType(SchemaTypeKind.List, "", type, ParseAlias() ?? type.Alias);
            }
            else
            {
                return type;
            }
        }
    }

    private AliasAnnotation? ParseAlias()
    {
        if (!TryTake('('))
            return null;
        int start = _position;
        SkipBalanced('(', ')');
        string text = _text[start..(_position - 1)];
        return new AliasAnnotation(text, text.Contains('!'));
    }

    private string ParseDefault()
    {
        int start = _position;
        if (TryTake('['))
        {
            SkipBalanced('[', ']');
        }
        else if (_position < _text.Length && _text[_position] is '"' or '\'')
        {
            char quote = _text[_position++];
            while (_position < _text.Length && _text[_position] != quote)
                _position += _text[_position] == '\\' ? 2 : 1;
            if (!TryTake(quote))
                throw Expected("the end of a string");
        }
        else
        {
            while (_position < _text.Length && _text[_position] is not (',' or ')' or ' '))
                _position++;
            if (_position == start)
                throw Expected("a default value");
        }
        return _text[start.._position];
    }

    private void SkipBalanced(char open, char close)
    {
        for (int depth = 1; depth > 0; _position++)
        {
            if (_position >= _text.Length)
                throw Expected($"'{close}'");
            if (_text[_position] == open)
                depth++;
            else if (_text[_position] == close)
                depth--;
        }
    }

    private string QualifiedIdentifier()
    {
        int start = _position;
        Identifier("a type");
        while (_position < _text.Length && _text[_position] == '.' && _position + 1 < _text.Length
            && IsIdentifierPart(_text[_position + 1]))
        {
            _position++;
            Identifier("a type");
        }
        return _text[start.._position];
    }

    private string Identifier(string what)
    {
        int start = _position;
        while (_position < _text.Length && IsIdentifierPart(_text[_position]))
            _position++;
        if (_position == start)
            throw Expected(what);
        return _text[start.._position];
    }

    private bool TryTake(char c)
    {
        if (_position >= _text.Length || _text[_position] != c)
            return false;
        _position++;
        return true;
    }

    private void Expect(string token)
    {
        if (!_text.AsSpan(_position < _text.Length ? _position : _text.Length).StartsWith(token))
            throw Expected($"'{token}'");
        _position += token.Length;
    }

    private void SkipSpace()
    {
        while (_position < _text.Length && _text[_position] == ' ')
            _position++;
    }

    private readonly FormatException Expected(string what) =>
        new($"expected {what} at character {_position + 1} of \"{(_text.Length > 200 ? _text[..200] + "…" : _text)}\"");
}
