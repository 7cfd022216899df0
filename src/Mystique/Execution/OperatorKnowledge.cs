using System.Collections.Immutable;
using Mystique.Execution.Workers;
using Mystique.Traces;

namespace Mystique.Execution;

/// <summary>What an engine knows of operators, asked of a worker, which is started when it is needed.</summary>
/// <param name="engine">The engine.</param>
internal sealed class OperatorKnowledge(Engine engine) : IOperatorKnowledge
{
    /// <summary>Calls that end the worker's process, after which no others are tried.</summary>
    private const int MaxDeaths = 8;

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
        var results = ImmutableArray.CreateBuilder<CallResults>(calls.Length);
        while (results.Count < calls.Length)
        {
            if (_deaths > MaxDeaths)
            {
                results.Add(new CallResults(null, "too many operators before it ended the engine"));
                continue;
            }
            int before = results.Count;
            int reached = 0;
            try
            {
                var answers = Ask(w => w.DescribeAsync([.. calls.Skip(before).Select(DescribedCall.Of)]));
                if (answers.Length != calls.Length - before)
                    throw new WorkerException(WorkerFailureKind.Refused, "it described other calls than it was asked for", "", 0);
                results.AddRange(answers.Select(a => new CallResults(
                    a.Outputs is { } outputs ? [.. outputs.Select(o => o.ToArgument())] : null, a.Error ?? "")));
            }
            catch (WorkerException exception) when (exception.Kind != WorkerFailureKind.Refused)
            {
                reached = Math.Clamp(exception.LastProgress, 1, calls.Length - before);
                Drop();
                _deaths++;
                // Those before it are asked for again, without it.
                results.AddRange(Describe([.. calls.Skip(before).Take(reached - 1)]));
                results.Add(new CallResults(null, $"it ended the engine: {exception.Message}"));
            }
        }
        return results.MoveToImmutable();
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
        _worker ??= EngineWorker.Start(engine, null);
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
