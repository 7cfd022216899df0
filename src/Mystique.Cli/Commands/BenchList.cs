using System.Collections.Immutable;
using Mystique.Cli.Bundled;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Cli.Commands;

/// <summary>A workload of a bench: a job's command line, or a bundled workload.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Command">The command line; empty for a bundled workload.</param>
internal sealed record BenchWorkload(string Name, ImmutableArray<string> Command)
{
    /// <summary>Whether it is one of <see cref="BundledParts.Workloads"/>.</summary>
    public bool IsExample => Command.IsEmpty;
}

/// <summary>
/// A list of workloads: a line each, <c>NAME: COMMAND ARGUMENT …</c> or <c>example NAME</c>; <c>change NAME OTHER</c>, which
/// asks for what changes from one to the other; <c>#</c> starts a comment.
/// </summary>
/// <param name="Workloads">The workloads, in order.</param>
/// <param name="Changes">Pairs of their names.</param>
internal sealed record BenchList(ImmutableArray<BenchWorkload> Workloads, ImmutableArray<(string From, string To)> Changes)
{
    /// <summary>The file that is looked for in a folder.</summary>
    public const string FileName = "bench.txt";

    /// <summary>What stands for the device in a command.</summary>
    public const string Device = "{device}";

    /// <summary>Reads a list.</summary>
    /// <param name="path">The file, or a folder with <see cref="FileName"/>.</param>
    /// <param name="python">What stands for <c>python3</c> at the start of a command.</param>
    /// <param name="device">What stands for <see cref="Device"/> in it.</param>
    /// <exception cref="MystiqueException">It is not there, or a line is invalid (MYS204, MYS209).</exception>
    public static BenchList Read(string path, string python, string device)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, FileName) : path;
        var workloads = ImmutableArray.CreateBuilder<BenchWorkload>();
        var changes = ImmutableArray.CreateBuilder<(string, string)>();
        foreach (var (index, raw) in TableText.ReadFile(file).Split('\n').Index())
        {
            string line = TableText.WithoutComment(raw).Trim();
            if (line.Length == 0)
                continue;
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["change", var from, var to] && workloads.Any(w => w.Name == from) && workloads.Any(w => w.Name == to))
                changes.Add((from, to));
            else if (words is ["example", var example] && BundledParts.Workloads.Any(w => w.Name == example))
                workloads.Add(new BenchWorkload(example, []));
            else if (words.Length > 1 && words[0].EndsWith(':') && words[0].Length > 1 && words[0].AsSpan().IndexOfAny('/', '\\') < 0)
                workloads.Add(new BenchWorkload(words[0][..^1], [words[1] == "python3" ? python : words[1],
                    .. words[2..].Select(w => w.Replace(Device, device, StringComparison.Ordinal))]));
            else
                throw Problems.BenchLineInvalid(file, index + 1, raw);
        }
        return new BenchList(workloads.ToImmutable(), changes.ToImmutable());
    }
}
