using System.Collections.Immutable;

namespace Mystique.Diagnostics;

/// <summary>The exit codes of the command <c>mystique</c>; documented in <c>docs/errors.md</c>.</summary>
public enum ExitCode
{
    /// <summary>Done.</summary>
    Done = 0,

    /// <summary>The replay failed: a worker crashed, ran out of time, or nothing could be measured.</summary>
    ReplayFailed = 1,

    /// <summary>The command line or an input file is bad; nothing was written.</summary>
    BadInput = 2,

    /// <summary>
    /// A replay is further from its original than <c>--fail-above</c> allows, or a fleet from its suite than <c>fleet drift</c> does.
    /// </summary>
    TooFarOff = 3,
}

/// <summary>
/// A failure that the user can do something about: it says what is wrong, where, and how to fix it.
/// All of them are made in <see cref="Problems"/>. Names, paths and other people's messages are in its parts: these are
/// escaped here (<see cref="PrintableText"/>), so that no name can forge a line.
/// </summary>
/// <param name="id">The stable id, <c>MYS</c> and three digits; never reused.</param>
/// <param name="what">What is wrong, a sentence without its full stop.</param>
/// <param name="where">The file, and the place in it where there is one.</param>
/// <param name="fix">What the user can do.</param>
/// <param name="exitCode">The exit code of the command that meets it.</param>
/// <param name="inner">The cause, if another exception is.</param>
/// <param name="details">Lines that tell more of what is wrong, for example a process's last words.</param>
public sealed class MystiqueException(
    string id, string what, string where, string fix, ExitCode exitCode = ExitCode.BadInput, Exception? inner = null,
    IEnumerable<string>? details = null)
    : Exception(null, inner)
{
    /// <summary>The stable id, for example <c>MYS101</c>.</summary>
    public string Id { get; } = PrintableText.Escape(id);

    /// <summary>What is wrong.</summary>
    public string What { get; } = PrintableText.Escape(what);

    /// <summary>Lines that tell more of it; empty for most.</summary>
    public ImmutableArray<string> Details { get; } = [.. (details ?? []).Select(PrintableText.Escape)];

    /// <summary>The file, and the place in it.</summary>
    public string Where { get; } = PrintableText.Escape(where);

    /// <summary>What the user can do about it.</summary>
    public string Fix { get; } = PrintableText.Escape(fix);

    /// <summary>All of it, on lines of their own.</summary>
    public override string Message =>
        $"{Id}: {What}{string.Concat(Details.Select(d => $"\n    {d}"))}\n  where: {Where}\n  fix: {Fix}";

    /// <summary>The exit code of the command that meets it.</summary>
    public ExitCode ExitCode { get; } = exitCode;
}
