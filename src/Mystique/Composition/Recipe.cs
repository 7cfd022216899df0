using System.Collections.Immutable;

namespace Mystique.Composition;

/// <summary>What a mix is made of, as its recipe says (<c>docs/control.md</c>). Immutable.</summary>
internal sealed record Recipe
{
    /// <summary>What the mix is called.</summary>
    public required string Name { get; init; }

    /// <summary>What is composed, by names.</summary>
    public required ImmutableSortedDictionary<string, RecipeInput> Inputs { get; init; }

    /// <summary>The steps of one benchmark; null for several side by side.</summary>
    public RecipeStep? Run { get; init; }

    /// <summary>Benchmarks that run at the same time, each in a process of its own; empty for one.</summary>
    public ImmutableArray<RecipeProcess> Concurrent { get; init; } = [];
}

/// <summary>A trace, capture, package or another recipe.</summary>
internal sealed record RecipeInput
{
    /// <summary>Its path, from the recipe's folder on.</summary>
    public required string Path { get; init; }

    /// <summary>Of a trace or capture, the part to take; null for all.</summary>
    public string? Select { get; init; }

    /// <summary>The part to leave; null for none.</summary>
    public string? Without { get; init; }

    /// <summary>N of <c>ProfilerStep#N</c>; null for the default.</summary>
    public long? Iteration { get; init; }

    /// <summary>A Kineto profile of the trace; null for the capture's.</summary>
    public string? Profile { get; init; }

    /// <summary>Where the recipe says it: file, line and column.</summary>
    public required string Where { get; init; }
}

/// <summary>A step of a recipe.</summary>
internal abstract record RecipeStep
{
    /// <summary>An input.</summary>
    internal sealed record Of(string Input) : RecipeStep;

    /// <summary>One after the other.</summary>
    internal sealed record Sequence(ImmutableArray<RecipeStep> Steps) : RecipeStep;

    /// <summary>The same several times.</summary>
    internal sealed record Repeat(int Times, RecipeStep Step) : RecipeStep;

    /// <summary>Nothing for a while; a replay that keeps the original's pace waits.</summary>
    internal sealed record Gap(long DurationNs) : RecipeStep;

    /// <summary>Operators of all take turns.</summary>
    internal sealed record Interleave(ImmutableArray<RecipeStep> Steps) : RecipeStep;

    /// <summary>Each so often as its weight, spread evenly.</summary>
    internal sealed record Weighted(ImmutableArray<(RecipeStep.Of Step, int Weight)> Steps) : RecipeStep;
}

/// <summary>A process of a mix.</summary>
/// <param name="Run">What it runs, over and over.</param>
/// <param name="StartNs">When it starts, in nanoseconds after the first.</param>
/// <param name="Threads">Its threads; null for as many as recorded.</param>
internal sealed record RecipeProcess(RecipeStep Run, long StartNs, int? Threads);
