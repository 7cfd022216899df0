using System.Collections.Immutable;
using Mystique.Execution.Workers;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Execution;

/// <summary>What an engine knows of operators, asked of a worker, which is started when it is needed.</summary>
/// <param name="engine">The engine.</param>
internal sealed class OperatorKnowledge(Engine engine) : IOperatorKnowledge
{
    /// <summary>Calls that end the worker's process, after which no others are tried.</summary>
    private const int MaxDeaths = 8;

    /// <summary>Calls in a request, and how long it may take: some can be made to run for hours.</summary>
    private const int ChunkLength = 64;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private EngineWorker? _worker;
    private int _deaths;

    /// <inheritdoc/>
    public ILookup<string, OperatorSchema> OverloadsOf(IEnumerable<string> names)
    {
        var schemas = Ask(w => w.OverloadsAsync(names));
        return schemas.Values.Select(SchemaOf).Where(s => s is not null).OrderBy(s => s!.FullName, StringComparer.Ordinal)
            .ToLookup(s => s!.QualifiedName, s => s!);
    }

    /// <inheritdoc/>
    public ImmutableArray<CallResults> Describe(ImmutableArray<OperatorCall> calls)
    {
        // A profile is the word of a stranger: what a benchmark may not call is not called here, either.
        var reasons = calls.Select(c => OperatorPolicy.BuiltIn.WhyNot(c.Schema,
            [.. c.Arguments.Select(a => a is TensorValue or ListValue ? null : a)], !engine.Libraries.IsEmpty)).ToArray();
        var answers = new Queue<CallResults>(calls.Where((_, i) => reasons[i] is null).Chunk(ChunkLength).SelectMany(DescribeAllowed));
        return [.. reasons.Select(r => r is null ? answers.Dequeue() : new CallResults(null, r))];
    }

    private List<CallResults> DescribeAllowed(OperatorCall[] calls)
    {
        var results = new List<CallResults>();
        while (results.Count < calls.Length)
        {
            var rest = calls.AsSpan(results.Count).ToArray();
            if (_deaths > MaxDeaths)
            {
                results.AddRange(rest.Select(_ => new CallResults(null, "too many operators before it ended the engine")));
                continue;
            }
            try
            {
                var answers = Ask(w => w.DescribeAsync([.. rest.Select(DescribedCall.Of)]));
                if (answers.Length != rest.Length)
                    throw new WorkerException(WorkerFailureKind.Refused, "it described other calls than it was asked for", "", 0);
                results.AddRange(answers.Select(a => new CallResults(
                    a.Outputs is { } outputs ? [.. outputs.Select(o => o.ToArgument())] : null, a.Error ?? "")));
            }
            catch (WorkerException exception) when (exception.Kind != WorkerFailureKind.Refused)
            {
                int reached = Math.Clamp(exception.LastProgress, 1, rest.Length);
                Drop();
                _deaths++;
                // Those before it are asked for again, without it.
                results.AddRange(DescribeAllowed(rest[..(reached - 1)]));
                results.Add(new CallResults(null, $"it ended the engine: {exception.Message}"));
            }
        }
        return results;
    }

    /// <inheritdoc/>
    public void Dispose() => Drop();

    private static OperatorSchema? SchemaOf(string text)
    {
        try
        {
            return SchemaParser.Parse(text);
        }
        catch (FormatException)
        {
            return null; // Of a form that no trace has, either.
        }
    }

    private T Ask<T>(Func<EngineWorker, Task<T>> question)
    {
        _worker ??= EngineWorker.Start(engine with { Timeout = engine.Timeout < Longest ? engine.Timeout : Longest }, null);
        return Task.Run(() => question(_worker)).GetAwaiter().GetResult();
    }

    private void Drop()
    {
        var worker = _worker;
        _worker = null;
        if (worker is not null)
            Task.Run(async () => await worker.DisposeAsync().ConfigureAwait(false)).GetAwaiter().GetResult();
    }
}
