using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mystique.Packaging;

/// <summary>
/// What a package's manifest must look like: <c>ManifestRules.json</c>, which <c>run.py</c> holds to as well. A rule is an
/// object (its fields and no others; <c>?</c> for one that may be absent; <c>*</c> for any), a list (of what, the most
/// elements, or the least and the most), or a word:
/// <c>bool</c>, <c>int:LOW:HIGH</c>, <c>float</c> (finite), <c>text:LONGEST</c>, <c>=VALUE</c>, <c>one:A:B</c>,
/// <c>at:LIST</c> (a place in a list of the manifest), <c>at:LIST:LOWEST</c>, <c>dtype</c>, <c>literal</c>, a word of
/// <c>words</c>, or the name of a regular expression of <c>forms</c>. <c>|null</c> after a word allows null.
/// </summary>
internal static partial class ManifestRules
{
    /// <summary>Lists in lists in a literal argument.</summary>
    private const int MaxLiteralDepth = 4;

    /// <summary>Elements of one literal argument, in all of its lists.</summary>
    private const int MaxLiteralElements = 1 << 20;

    /// <summary>Bytes of a text in a literal, of a schema, and of whatever else has a form.</summary>
    private const int MaxText = 4096;

    private static readonly JsonElement Root = JsonDocument.Parse(Text).RootElement;

    private static readonly FrozenDictionary<string, string> Forms =
        Root.GetProperty("forms").EnumerateObject().ToFrozenDictionary(f => f.Name, f => f.Value.GetString()!);

    private static readonly FrozenDictionary<string, Regex> Patterns = Forms.Keys.Where(k => char.IsAsciiLetterLower(k[0]))
        .ToFrozenDictionary(k => k, k => new Regex($@"\A(?:{Expand(Forms[k])})\z", RegexOptions.CultureInvariant));

    /// <summary>The rules as text, for <c>run.py</c>.</summary>
    public static string Text => EmbeddedText.Join("Mystique.Packaging.ManifestRules.json");

    /// <summary>Bytes of an element by its type's name; 0 for the undefined tensor's.</summary>
    public static FrozenDictionary<string, int> ElementBytes { get; } =
        Root.GetProperty("element_bytes").EnumerateObject().ToFrozenDictionary(f => f.Name, f => f.Value.GetInt32());

    /// <summary>Texts by their names, in a part of the rules.</summary>
    public static FrozenDictionary<string, string> TextsOf(string part, string name) =>
        Root.GetProperty(part).GetProperty(name).EnumerateObject().ToFrozenDictionary(f => f.Name, f => f.Value.GetString()!);

    /// <summary>A regular expression of the rules, for all of a text.</summary>
    public static Regex Form(string name) => Patterns[name];

    /// <summary>Reads a manifest's text.</summary>
    /// <exception cref="FormatException">It is no JSON as the rules have it: valid UTF-8, no name twice in an object.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Span.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        if (!System.Text.Unicode.Utf8.IsValid(bytes.Span))
            throw new FormatException("it is not UTF-8");
        try
        {
            return JsonDocument.Parse(bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            throw new FormatException(exception.Message, exception);
        }
    }

    /// <summary>Holds a manifest to the rules.</summary>
    /// <exception cref="FormatException">It breaks one; the message says where.</exception>
    public static void Check(JsonElement manifest) => Check(Root.GetProperty("manifest"), manifest, "", manifest);

    /// <summary>Holds the file of a job of several ranks to its rules.</summary>
    /// <exception cref="FormatException">It breaks one; the message says where.</exception>
    public static void CheckJob(JsonElement job) => Check(Root.GetProperty("job"), job, "", job);

    private static void Check(JsonElement rule, JsonElement value, string place, JsonElement manifest)
    {
        switch (rule.ValueKind)
        {
            case JsonValueKind.Object:
                CheckObject(rule, value, place, manifest);
                break;
            case JsonValueKind.Array:
                int count = value.ValueKind == JsonValueKind.Array ? value.GetArrayLength() : throw Broken(place, "it is no list");
                int least = rule.GetArrayLength() > 2 ? rule[1].GetInt32() : 0;
                if (count < least || count > rule[rule.GetArrayLength() - 1].GetInt32())
                    throw Broken(place, $"it has {count} elements");
                int i = 0;
                foreach (var item in value.EnumerateArray())
                    Check(rule[0], item, $"{place}[{i++}]", manifest);
                break;
            default:
                CheckWord(rule.GetString()!, value, place, manifest);
                break;
        }
    }

    private static void CheckObject(JsonElement rule, JsonElement value, string place, JsonElement manifest)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw Broken(place, "it is no object");
        if (rule.TryGetProperty("*", out var any))
        {
            foreach (var property in value.EnumerateObject())
            {
                CheckText(NameOf(property, place), 256, place);
                Check(any, property.Value, $"{place}.{property.Name}", manifest);
            }
            return;
        }
        int found = 0;
        foreach (var field in rule.EnumerateObject())
        {
            bool isOptional = field.Name.EndsWith('?');
            string name = isOptional ? field.Name[..^1] : field.Name;
            string at = place.Length == 0 ? name : $"{place}.{name}";
            if (value.TryGetProperty(name, out var member))
            {
                found++;
                Check(field.Value, member, at, manifest);
            }
            else if (!isOptional)
            {
                throw Broken(at, "it is missing");
            }
        }
        if (found != value.GetPropertyCount())
            throw Broken(place.Length == 0 ? "the manifest" : place, "it has a field that the format does not have");
    }

    private static void CheckWord(string word, JsonElement value, string place, JsonElement manifest)
    {
        if (word.EndsWith("|null", StringComparison.Ordinal))
        {
            if (value.ValueKind == JsonValueKind.Null)
                return;
            word = word[..^5];
        }
        if (Root.GetProperty("words").TryGetProperty(word, out var meaning))
        {
            Check(meaning, value, place, manifest);
            return;
        }
        string[] parts = word.Split(':');
        switch (parts[0])
        {
            case "bool":
                if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
                    throw Broken(place, "it is neither true nor false");
                break;
            case "int":
                CheckInt(value, long.Parse(parts[1], CultureInfo.InvariantCulture), long.Parse(parts[2], CultureInfo.InvariantCulture),
                    place);
                break;
            case "float":
                if (value.ValueKind != JsonValueKind.Number || !double.IsFinite(value.GetDouble()))
                    throw Broken(place, "it is no finite number");
                break;
            case "at":
                CheckInt(value, parts.Length > 2 ? long.Parse(parts[2], CultureInfo.InvariantCulture)
                    : 0, CountOf(manifest, parts[1]) - 1, place);
                break;
            case "literal":
                int elements = 0;
                CheckLiteral(value, place, 0, ref elements);
                break;
            default:
                string text = TextOf(value, place);
                if (parts[0] != "base64")
                    CheckText(text, parts[0] == "text" ? int.Parse(parts[1], CultureInfo.InvariantCulture) : MaxText, place);
                if (parts[0] == "text")
                    break;
                if (!(parts[0] == "one" ? parts.AsSpan(1).Contains(text) : parts[0] == "dtype" ? ElementBytes.ContainsKey(text)
                    : word[0] == '=' ? text == word[1..] : Patterns[word].IsMatch(text)))
                    throw Broken(place, $"it is no {(word[0] == '=' ? word[1..] : parts[0])}");
                break;
        }
    }

    /// <summary>A literal argument: see <see cref="ManifestLiteral"/>.</summary>
    private static void CheckLiteral(JsonElement value, string place, int depth, ref int elements)
    {
        if (++elements > MaxLiteralElements || depth > MaxLiteralDepth)
            throw Broken(place, "it is larger than an argument is");
        switch (value.ValueKind)
        {
            case JsonValueKind.Number:
                CheckInt(value, long.MinValue, long.MaxValue, place);
                break;
            case JsonValueKind.True or JsonValueKind.False:
                break;
            case JsonValueKind.String:
                CheckText(TextOf(value, place), MaxText, place);
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                    CheckLiteral(item, place, depth + 1, ref elements);
                break;
            case JsonValueKind.Object when value.GetPropertyCount() == 0:
                break;
            case JsonValueKind.Object when value.GetPropertyCount() == 1 && value.TryGetProperty("double", out var number):
                if (!Patterns["double"].IsMatch(TextOf(number, place)))
                    throw Broken(place, "it is no double");
                break;
            case JsonValueKind.Object when value.GetPropertyCount() == 1 && value.TryGetProperty("device", out var device):
                CheckText(TextOf(device, place), 64, place);
                break;
            default:
                throw Broken(place, "it is no literal");
        }
    }

    private static void CheckInt(JsonElement value, long low, long high, string place)
    {
        if (value.ValueKind != JsonValueKind.Number || value.GetRawText().AsSpan().IndexOfAny('.', 'e', 'E') >= 0
            || !value.TryGetInt64(out long number))
            throw Broken(place, "it is no whole number of 64 bits");
        if (number < low || number > high)
            throw Broken(place, $"{number} is not from {low} to {high}");
    }

    private static int CountOf(JsonElement manifest, string list) =>
        manifest.TryGetProperty(list, out var items) && items.ValueKind == JsonValueKind.Array ? items.GetArrayLength() : 0;

    private static void CheckText(string text, int longest, string place)
    {
        if (Encoding.UTF8.GetByteCount(text) > longest)
            throw Broken(place, "it is longer than such a text is");
    }

    private static string TextOf(JsonElement value, string place)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Broken(place, "it is no text");
        }
        catch (InvalidOperationException)
        {
            throw Broken(place, "it has half a character"); // A lone surrogate.
        }
    }

    private static string NameOf(JsonProperty property, string place)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            throw Broken(place, "it has half a character");
        }
    }

    /// <summary>A form with those that it names put in.</summary>
    private static string Expand(string form) => Named().Replace(form, m => m.Groups[1].Value == "CALL" ? Expand(Forms["CALL"])
        : $"(?:{Expand(Forms[m.Groups[1].Value])})");

    [GeneratedRegex("<([A-Za-z0-9]+)>")]
    private static partial Regex Named();

    private static FormatException Broken(string place, string why) => new($"{(place.Length == 0 ? "it" : place)} is invalid: {why}");
}
