using System.Globalization;
using System.Text.RegularExpressions;

namespace Mystique.Recordings.Serving;

/// <summary>
/// The label of a step of a serving engine, as vLLM and SGLang write it (vllm#37524, sglang#24911; vLLM's
/// <c>vllm/v1/worker/gpu_worker.py</c>): <c>execute_{tokens}_context_{requests}(sq…sk…sqsq…sqsk…)_generation_{requests}(…)</c>,
/// or, before, <c>execute_context_{requests}({tokens})_generation_{requests}({tokens})</c>.
/// </summary>
/// <param name="Name">The label.</param>
/// <param name="Context">Requests that read their prompts (prefill).</param>
/// <param name="Generation">Requests that make tokens (decode).</param>
internal sealed partial record StepLabel(string Name, StepPart Context, StepPart Generation)
{
    /// <summary>Tokens that the step works on.</summary>
    public long Tokens => Context.Tokens + Generation.Tokens;

    /// <summary>Reads a label; null for any other name.</summary>
    public static StepLabel? Of(string name)
    {
        if (!name.StartsWith("execute_", StringComparison.Ordinal) || Pattern().Match(name) is not { Success: true } match)
            return null;
        return PartOf(match, "c") is { } context && PartOf(match, "g") is { } generation ? new StepLabel(name, context, generation) : null;
    }

    /// <summary>What it says, in words.</summary>
    public override string ToString()
    {
        string Of(string what, StepPart part) => part.Requests == 0 ? "" : string.Create(CultureInfo.InvariantCulture,
            $"{part.Requests:N0} in {what} with {part.Tokens:N0} tokens{(part.Keys is { } keys ? $" over {keys:N0} keys" : "")}");
        string[] parts = [.. ((string[])[Of("context", Context), Of("generation", Generation)]).Where(p => p.Length > 0)];
        return parts.Length == 0 ? "no requests" : "requests: " + string.Join(", ", parts);
    }

    private static StepPart? PartOf(Match match, string part)
    {
        if (!TryNumber(match.Groups[part + "n"], out long requests))
            return null;
        if (match.Groups[part + "t"].Success)
            return TryNumber(match.Groups[part + "t"], out long tokens) ? new StepPart(requests, tokens, null, null) : null;
        return TryNumber(match.Groups[part + "q"], out long queries) && TryNumber(match.Groups[part + "k"], out long keys)
            && TryNumber(match.Groups[part + "qk"], out long pairs) ? new StepPart(requests, queries, keys, pairs) : null;
    }

    private static bool TryNumber(Group group, out long number) =>
        long.TryParse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= 1L << 48;

    [GeneratedRegex("""
        ^execute_(?:[0-9]+_)?context_(?<cn>[0-9]+)\((?:(?<ct>[0-9]+)|sq(?<cq>[0-9]+)sk(?<ck>[0-9]+)sqsq[0-9]+sqsk(?<cqk>[0-9]+))\)
        _generation_(?<gn>[0-9]+)\((?:(?<gt>[0-9]+)|sq(?<gq>[0-9]+)sk(?<gk>[0-9]+)sqsq[0-9]+sqsk(?<gqk>[0-9]+))\)$
        """, RegexOptions.CultureInvariant | RegexOptions.IgnorePatternWhitespace | RegexOptions.NonBacktracking)]
    private static partial Regex Pattern();
}

/// <summary>Requests of one kind in a step.</summary>
/// <param name="Requests">How many.</param>
/// <param name="Tokens">Their new tokens, added up (the label's <c>sq</c>).</param>
/// <param name="Keys">The lengths of what they attend to, added up (<c>sk</c>); null where the label does not say.</param>
/// <param name="Pairs">Tokens times lengths, added up (<c>sqsk</c>); null where the label does not say.</param>
internal sealed record StepPart(long Requests, long Tokens, long? Keys, long? Pairs);
