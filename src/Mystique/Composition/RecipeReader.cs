using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Measurement;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Mystique.Composition;

/// <summary>Reads recipes from YAML. What is wrong is told with its line and column, and unknown keys with the nearest known one.</summary>
internal sealed class RecipeReader
{
    private const int MaxBytes = 1 << 20;
    private const int MaxDepth = 32;
    private const int MaxTimes = 100_000;

    private static readonly string[] OfStep = ["repeat", "of", "gap", "interleave", "weights", "sequence"];

    private readonly string _path;

    private RecipeReader(string path) => _path = path;

    /// <summary>Whether a file is a recipe by its name.</summary>
    public static bool IsRecipe(string path) => path.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase)
        || path.EndsWith(".yml", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a recipe.</summary>
    /// <param name="path">Its file.</param>
    /// <exception cref="MystiqueException">There is none (MYS101), or it is invalid (MYS220).</exception>
    public static Recipe Read(string path)
    {
        if (!File.Exists(path))
            throw Problems.TraceNotFound(path);
        var reader = new RecipeReader(path);
        try
        {
            if (new FileInfo(path).Length > MaxBytes)
                throw reader.Invalid(Mark.Empty, "it is larger than 1 MiB", "leave out what is no recipe");
            string text = File.ReadAllText(path);
            reader.CheckDepth(text);
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            return yaml.Documents is [var document] ? reader.Read(document.RootNode)
                : throw reader.Invalid(Mark.Empty, "it has no document, or several", "write one mapping with inputs and run");
        }
        catch (YamlException exception)
        {
            throw reader.Invalid(exception.Start, $"it is no YAML: {exception.Message}", "correct it there");
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException)
        {
            throw reader.Invalid(Mark.Empty, $"it is no YAML: {exception.Message}", "correct it"); // The parser's own checks.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.TraceUnreadable(path, exception);
        }
    }

    /// <summary>Nodes are loaded by recursion, and an alias stands for all that its anchor holds: a small text could be large.</summary>
    private void CheckDepth(string text)
    {
        var parser = new Parser(new StringReader(text));
        int depth = 0;
        while (parser.MoveNext())
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > 2 * MaxDepth)
                throw Invalid(parser.Current.Start, $"it nests deeper than {2 * MaxDepth}", "make a recipe of its own of what is inner");
            if (parser.Current is AnchorAlias)
                throw Invalid(parser.Current.Start, "it has an alias", "write out what it stands for");
        }
    }

    private Recipe Read(YamlNode root)
    {
        var recipe = Mapping(root, "a recipe", "name", "inputs", "run", "concurrent");
        var inputs = Mapping(Needed(recipe, root, "inputs"), "inputs");
        if (inputs.Count == 0)
            throw Invalid(root.Start, "it has no inputs", "name a trace, a capture, a package or a recipe below inputs");
        bool isConcurrent = recipe.ContainsKey("concurrent");
        if (isConcurrent == recipe.ContainsKey("run"))
            throw Invalid(root.Start, "it has both run and concurrent, or neither", "keep one of them");
        var read = new Recipe
        {
            Name = recipe.TryGetValue("name", out var name) ? Text(name, "name") : Path.GetFileNameWithoutExtension(_path),
            Inputs = inputs.ToImmutableSortedDictionary(i => i.Key, i => Input(i.Value), StringComparer.Ordinal),
            Run = isConcurrent ? null : Step(recipe["run"], inputs.Keys, 0),
            Concurrent = !isConcurrent ? [] : [.. List(recipe["concurrent"], "concurrent").Select(p => Process(p, inputs.Keys))],
        };
        return read;
    }

    private RecipeInput Input(YamlNode node)
    {
        if (node is YamlScalarNode)
            return new RecipeInput { Path = Text(node, "an input"), Where = Where(node.Start) };
        var input = Mapping(node, "an input", "from", "select", "without", "iteration", "profile");
        string? Optional(string key) => input.TryGetValue(key, out var value) ? Text(value, key) : null;
        return new RecipeInput
        {
            Path = Text(Needed(input, node, "from"), "from"),
            Select = Optional("select"),
            Without = Optional("without"),
            Iteration = input.TryGetValue("iteration", out var iteration) ? Integer(iteration, "iteration", 0, int.MaxValue) : null,
            Profile = Optional("profile"),
            Where = Where(node.Start),
        };
    }

    private RecipeProcess Process(YamlNode node, ICollection<string> inputs)
    {
        if (node is not YamlMappingNode mapping || !mapping.Children.Keys.Any(k => (k as YamlScalarNode)?.Value == "run"))
            return new RecipeProcess(Step(node, inputs, 0), 0, null);
        var process = Mapping(node, "a process", "run", "start", "threads");
        return new RecipeProcess(Step(process["run"], inputs, 0), process.TryGetValue("start", out var start) ? Duration(start, "start")
            : 0,
            process.TryGetValue("threads", out var threads) ? Integer(threads, "threads", 1, 4096) : null);
    }

    private RecipeStep Step(YamlNode node, ICollection<string> inputs, int depth)
    {
        if (depth > MaxDepth)
            throw Invalid(node.Start, $"steps nest deeper than {MaxDepth}", "make a recipe of its own of the inner ones");
        ImmutableArray<RecipeStep> Steps(YamlNode list, string of) => [.. List(list, of).Select(s => Step(s, inputs, depth + 1))];
        if (node is YamlSequenceNode)
            return new RecipeStep.Sequence(Steps(node, "run"));
        if (node is YamlScalarNode)
            return Named(node, inputs);
        var step = Mapping(node, "a step", OfStep);
        string[] kinds = [.. step.Keys.Where(k => k != "of")];
        if (kinds.Length != 1 || step.ContainsKey("of") != (kinds[0] == "repeat"))
            throw Invalid(node.Start, "a step is one of repeat (with of), gap, interleave, weights and sequence",
                "split it, or complete it");
        var value = step[kinds[0]];
        return kinds[0] switch
        {
            "repeat" => new RecipeStep.Repeat(Integer(value, "repeat", 1, MaxTimes), Step(step["of"], inputs, depth + 1)),
            "gap" => new RecipeStep.Gap(Duration(value, "gap")),
            "interleave" => new RecipeStep.Interleave(Steps(value, "interleave")),
            "weights" => new RecipeStep.Weighted([.. Mapping(value, "weights").Select(w => (Named(new YamlScalarNode(w.Key), inputs,
                value.Start), Integer(w.Value, "a weight", 1, MaxTimes)))]),
            _ => new RecipeStep.Sequence(Steps(value, "sequence")),
        };
    }

    private RecipeStep.Of Named(YamlNode node, ICollection<string> inputs, Mark? at = null)
    {
        string name = Text(node, "a step");
        return inputs.Contains(name) ? new RecipeStep.Of(name)
            : throw Invalid(at ?? node.Start, $"there is no input '{name}'", NearestNames.Of(name, inputs));
    }

    private Dictionary<string, YamlNode> Mapping(YamlNode node, string what, params string[] keys)
    {
        if (node is not YamlMappingNode mapping)
            throw Invalid(node.Start, $"{what} is a mapping", keys.Length == 0 ? "write NAME: VALUE lines"
                : $"it has the keys {string.Join(", ", keys)}");
        var found = new Dictionary<string, YamlNode>(StringComparer.Ordinal);
        foreach (var (key, value) in mapping.Children)
        {
            string name = Text(key, $"a key of {what}");
            if (keys.Length > 0 && !keys.Contains(name))
                throw Invalid(key.Start, $"{what} has no key '{name}'", NearestNames.Of(name, keys));
            found.Add(name, value);
        }
        return found;
    }

    private YamlNode Needed(Dictionary<string, YamlNode> mapping, YamlNode at, string key) =>
        mapping.TryGetValue(key, out var node) ? node : throw Invalid(at.Start, $"there is no {key}", $"add {key}: …");

    private IEnumerable<YamlNode> List(YamlNode node, string what) => node is YamlSequenceNode { Children: { Count: > 0 } items } ? items
        : throw Invalid(node.Start, $"{what} is a list of one step or more", "write its items with dashes, or in brackets");

    private string Text(YamlNode node, string what) => node is YamlScalarNode { Value: { Length: > 0 } text } ? text
        : throw Invalid(node.Start, $"{what} is a text", "write it between quotes where it has special characters");

    private int Integer(YamlNode node, string what, int least, int most) => int.TryParse(Text(node, what), NumberStyles.None,
        CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number : throw Invalid(node.Start,
            string.Create(CultureInfo.InvariantCulture, $"{what} is a whole number from {least} to {most}"), "correct it there");

    private long Duration(YamlNode node, string what)
    {
        string text = Text(node, what);
        return TimeText.NanosecondsOf(text, ("ms", 1e6), ("us", 1e3), ("ns", 1), ("s", 1e9)) is { } time and >= 0 and < 1e15 ? (long)time
            : throw Invalid(node.Start, $"{what} is a time such as 5ms, 250us or 1.5s, not '{text}'", "add a unit");
    }

    private string Where(Mark at) => string.Create(CultureInfo.InvariantCulture, $"{_path}, line {at.Line}, column {at.Column}");

    private MystiqueException Invalid(Mark at, string what, string fix) => Problems.RecipeInvalid(Where(at), what, fix);
}
