namespace Mystique.Execution.Workers;

/// <summary>How a worker is started.</summary>
/// <param name="FileName">The executable.</param>
/// <param name="Arguments">Its arguments.</param>
public sealed record WorkerCommand(string FileName, IReadOnlyList<string> Arguments)
{
    /// <summary>A script that the program runs: written to a file, whose path is the first argument. Null for none.</summary>
    public string? Script { get; init; }

    /// <summary>Variables that it gets beside those of this process.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>The same with more variables; of two of the same name the one given here counts.</summary>
    internal WorkerCommand With(IReadOnlyDictionary<string, string> variables) =>
        this with { Environment = Environment.Where(v => !variables.ContainsKey(v.Key)).Concat(variables).ToDictionary() };
}
