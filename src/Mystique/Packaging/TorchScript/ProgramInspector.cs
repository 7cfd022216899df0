using System.Text.RegularExpressions;
using Mystique.Planning;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Looks through the text of a program before anything loads it: it may call the operators that its manifest lists, in the
/// manifest's order, and move tensors into and out of its lists; nothing else. TorchScript could do more: print, read a
/// file, run without end. The forms of its lines are those of <c>ManifestRules.json</c>; <c>run.py</c> holds to the same.
/// </summary>
internal static partial class ProgramInspector
{
    /// <summary>The longest line of a program, in bytes: a call of thousands of tensors has some ten thousand.</summary>
    private const int MaxLineBytes = 1 << 21;

    /// <summary>What is wrong with a program; null where nothing is.</summary>
    /// <param name="code">The text of the class <c>Benchmark</c>.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="schedule">The calls that make an iteration: where each operator must be.</param>
    public static string? WhyNot(string code, ReplayPlan plan, IReadOnlyList<ScheduledCall> schedule) =>
        WhyNot(code, plan, schedule, (_, _) => { });

    /// <summary>The operator that a line of a program calls; null for a line that calls none.</summary>
    /// <param name="code">The text of the class <c>Benchmark</c>, in which nothing is wrong, whoever generated it.</param>
    /// <param name="line">The line, from 1.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="schedule">The calls that make an iteration.</param>
    /// <returns>The operator's place in the plan.</returns>
    public static int? OperatorAt(string code, int line, ReplayPlan plan, IReadOnlyList<ScheduledCall> schedule)
    {
        int? found = null;
        WhyNot(code, plan, schedule, (at, op) => found = at == line ? op : found);
        return found;
    }

    private static string? WhyNot(string code, ReplayPlan plan, IReadOnlyList<ScheduledCall> schedule, Action<int, int> onCall)
    {
        if (!code.StartsWith(ProgramGenerator.Prologue, StringComparison.Ordinal))
            return "it does not start as a program does";
        var (start, call, line) = (ManifestRules.Form("start"), ManifestRules.Form("call"), ManifestRules.Form("line"));
        var calls = schedule.ToDictionary(c => c.Function);
        var seen = new HashSet<string>();
        string function = "";
        int next = 0, end = 0, number = ProgramGenerator.Prologue.Count(c => c == '\n');
        foreach (var range in code.AsSpan(ProgramGenerator.Prologue.Length).Split('\n'))
        {
            var text = code.AsSpan(ProgramGenerator.Prologue.Length)[range];
            number++;
            if (text.IsEmpty && range.End.Value == code.Length - ProgramGenerator.Prologue.Length)
                break; // What follows the last line.
            string words = text.Length <= MaxLineBytes ? text.ToString() : "";
            if (start.Match(words) is { Success: true } head)
            {
                if (WhyNotEnded(plan, function, ref next, end) is { } rest)
                    return rest;
                function = head.Groups[1].Value;
                if (!seen.Add(function))
                    return $"line {number}: it has the function {function} twice";
                var called = calls.GetValueOrDefault(function);
                if (called is null && function != "last")
                    return $"line {number}: it has the function {function}, which the schedule does not call";
                (next, end) = called is null ? (0, 0) : (called.First, called.First + called.Count);
            }
            else if (function.Length > 0 && call.Match(words) is { Success: true } found)
            {
                SkipHosts(plan, ref next, end);
                string name = $"{found.Groups[1].Value}::{found.Groups[2].Value}";
                if (next >= end || plan.Operators[next].Schema.QualifiedName != name)
                {
                    string expected = next < end ? plan.Operators[next].Schema.QualifiedName : "nothing";
                    return $"line {number}: it calls {name} where the manifest has {expected}";
                }
                if (Texts().Matches(words).Any(t => !IsTextOf(plan.Operators[next], t.Groups[1].Value)))
                    return $"line {number}: it calls {name} with a text that the manifest does not have";
                onCall(number, next);
                next++;
            }
            else if (function.Length == 0 || !line.IsMatch(words))
            {
                return $"line {number}: {Shorten(words)} is nothing that a program does";
            }
        }
        if (WhyNotEnded(plan, function, ref next, end) is { } missing)
            return missing;
        string? absent = schedule.Select(c => c.Function).Append("last").FirstOrDefault(f => !seen.Contains(f));
        return absent is null ? null : $"it has no function {absent}";
    }

    /// <summary>Whether a text in a call is one of the manifest's, which the policy has looked at. In both, it is a plain word.</summary>
    private static bool IsTextOf(PlannedOperator op, string text) =>
        op.Arguments.Any(a => a.Literal is Traces.StringValue value && value.Value == text);

    private static void SkipHosts(ReplayPlan plan, ref int next, int end)
    {
        while (next < end && plan.Operators[next].IsOfHost)
            next++; // The host calls it.
    }

    private static string? WhyNotEnded(ReplayPlan plan, string function, ref int next, int end)
    {
        SkipHosts(plan, ref next, end);
        return next < end ? $"its function {function} does not call {plan.Operators[next].Schema.QualifiedName}, which the manifest has "
            + $"there" : null;
    }

    private static string Shorten(string text) => text.Length <= 80 ? $"\"{text.Trim()}\"" : $"\"{text[..80].Trim()}…\"";

    /// <summary>The texts of a line that has the form of a call: within quotes there are no quotes.</summary>
    [GeneratedRegex("\"([^\"]*)\"")]
    private static partial Regex Texts();
}
