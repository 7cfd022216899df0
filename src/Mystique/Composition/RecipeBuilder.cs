using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Composition;

/// <summary>Makes what a recipe says.</summary>
/// <param name="open">Opens a trace or a capture.</param>
internal sealed class RecipeBuilder(Func<string, RecordingOptions, Recording> open)
{
    private const int MaxParts = 100_000;
    private const int MaxOperators = 1_000_000;

    private readonly PlanningOptions _planning = new();
    private readonly Dictionary<(string, string?, long?), Recording> _recordings = [];
    private readonly List<string> _pending = []; // Recipes that are being made, the outermost first.

    /// <summary>Makes a mix.</summary>
    /// <param name="path">The recipe.</param>
    /// <param name="read">What it says, where it was read already.</param>
    /// <returns>The one benchmark, or the processes side by side.</returns>
    /// <exception cref="MystiqueException">
    /// The recipe is invalid (MYS220), parts cannot be composed (MYS221), or an input cannot be read, or planned.
    /// </exception>
    public ImmutableArray<MixProcess> Make(string path, Recipe? read = null)
    {
        string full = Path.GetFullPath(path);
        if (_pending.Contains(full))
            throw Problems.RecipeInvalid(path, "it is a part of itself", $"remove it from {_pending[^1]}");
        _pending.Add(full);
        var recipe = read ?? RecipeReader.Read(path);
        var inputs = recipe.Inputs.ToDictionary(i => i.Key, i => new Lazy<Benchmark>(() => Open(i.Value, Path.GetDirectoryName(full)!)));
        Benchmark Of(string name, RecipeStep step)
        {
            var parts = Parts(step, inputs).Take(MaxParts + 1).ToArray();
            return BenchmarkComposer.Compose(name, WithGaps(parts, path));
        }
        ImmutableArray<MixProcess> made = recipe.Run is { } run ? [new MixProcess(Of(recipe.Name, run), 0, null)]
            : [.. recipe.Concurrent.Select((p, i) => new MixProcess(Of(p.Run is RecipeStep.Of only ? only.Input : $"process {i}", p.Run),
                p.StartNs, p.Threads))];
        _pending.RemoveAt(_pending.Count - 1);
        return made;
    }

    private Benchmark Open(RecipeInput input, string folder)
    {
        string path = Path.Combine(folder, input.Path);
        bool isPart = input.Select is not null || input.Without is not null;
        if (RecipeReader.IsRecipe(path))
            return isPart ? throw Problems.PartOfPackage(path) : Make(path) is [var one] ? one.Benchmark
                : throw Problems.RecipeInvalid(input.Where, "an input runs several processes side by side", "name one of their inputs");
        if (Benchmark.IsPackage(path))
            return isPart ? throw Problems.PartOfPackage(path) : Benchmark.Load(path);
        if (!File.Exists(path) && !Directory.Exists(path))
            throw Problems.RecipeInvalid(input.Where, $"there is no {input.Path}", "name it from the recipe's folder on");
        string? profile = input.Profile is null ? null : Path.Combine(folder, input.Profile);
        // Parts of one recording know each other.
        if (!_recordings.TryGetValue((Path.GetFullPath(path), profile, input.Iteration), out var recording))
            _recordings.Add((Path.GetFullPath(path), profile, input.Iteration),
                recording = open(path, new RecordingOptions { Profile = profile, Iteration = input.Iteration }));
        return Benchmark.Create(recording, new BenchmarkOptions
        {
            Select = input.Select,
            Without = input.Without,
            Iteration = input.Iteration,
            Planning = _planning,
        });
    }

    /// <summary>The parts of a step in order; null stands for a gap of so many nanoseconds.</summary>
    private static IEnumerable<(Benchmark? Part, long GapNs)> Parts(RecipeStep step, Dictionary<string, Lazy<Benchmark>> inputs)
    {
        switch (step)
        {
            case RecipeStep.Of of:
                return [(inputs[of.Input].Value, 0)];
            case RecipeStep.Gap gap:
                return [(null, gap.DurationNs)];
            case RecipeStep.Sequence sequence:
                return sequence.Steps.SelectMany(s => Parts(s, inputs));
            case RecipeStep.Repeat repeat:
                var once = Parts(repeat.Step, inputs).Take(MaxParts + 1).ToArray();
                CheckCount((long)once.Length * repeat.Times);
                return Enumerable.Repeat(once, repeat.Times).SelectMany(p => p);
            case RecipeStep.Weighted weighted:
                CheckCount(weighted.Steps.Sum(s => (long)s.Weight));
                return InTurns([.. weighted.Steps.Select(s => s.Weight)])
                    .Select(i => ((Benchmark?)inputs[weighted.Steps[i].Step.Input].Value,
                    0L));
            default:
                var sides = ((RecipeStep.Interleave)step).Steps.Select(s => (Parts(s, inputs).ToArray() is [(Benchmark only, _)] ? only
                    : BenchmarkComposer.Compose("a side", WithGaps([.. Parts(s, inputs)], "interleave")), 0L)).ToArray();
                return [(BenchmarkComposer.Compose("interleaved", sides, isInterleaved: true), 0)];
        }
    }

    /// <summary>Places by weights, each as evenly as can be: the one that lags most comes next.</summary>
    internal static IEnumerable<int> InTurns(int[] weights)
    {
        long total = weights.Sum(w => (long)w);
        long[] credits = new long[weights.Length];
        for (long turn = 0; turn < total; turn++)
        {
            for (int i = 0; i < weights.Length; i++)
                credits[i] += weights[i];
            int next = Array.IndexOf(credits, credits.Max());
            credits[next] -= total;
            yield return next;
        }
    }

    private static void CheckCount(long parts)
    {
        if (parts > MaxParts)
            throw Problems.RecipeInvalid("its steps", "it comes to more than 100,000 parts", Fewer);
    }

    private const string Fewer = "repeat less: the iterations of a run repeat it, too";

    private static (Benchmark, long)[] WithGaps((Benchmark? Part, long GapNs)[] parts, string path)
    {
        CheckCount(parts.Length);
        if (parts.Sum(p => (long)(p.Part?.Plan.Operators.Length ?? 0)) is > MaxOperators and var count)
            throw Problems.RecipeInvalid(path, string.Create(CultureInfo.InvariantCulture,
                $"it comes to {count:N0} operators, and {MaxOperators:N0} are the limit"), Fewer);
        var found = new List<(Benchmark, long)>();
        long gap = 0;
        foreach (var (part, ns) in parts)
            if (part is null)
                gap += ns;
            else
            {
                found.Add((part, gap));
                gap = 0;
            }
        if (found.Count == 0)
            throw Problems.RecipeInvalid(path, "it has gaps, and nothing that runs", "name an input");
        found[0] = (found[0].Item1, found[0].Item2 + gap); // Iterations follow each other: what is last comes before the first.
        if (parts.Any(p => p.Part is null) && found.FirstOrDefault(f => f.Item1.Plan.Times is null).Item1 is { } timeless)
            throw Problems.RecipeInvalid(path, $"a gap is between times, and of {timeless.Plan.Source.Name} none are known",
                "name its profile, or omit the gap");
        return [.. found];
    }
}
