using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Examples;
using Mystique.Planning;

namespace Mystique.Cli.Commands;

/// <summary>A workload of a bench: a job's command line, or an example that comes along.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Command">The command line; empty for an example.</param>
internal sealed record BenchWorkload(string Name, ImmutableArray<string> Command)
{
    /// <summary>Whether it is one of <see cref="Workloads"/>.</summary>
    public bool IsExample => Command.IsEmpty;
}

/// <summary>Reads lists of workloads: a line each, <c>NAME: COMMAND ARGUMENT …</c> or <c>example NAME</c>; <c>#</c> starts a comment.</summary>
internal static class BenchList
{
    /// <summary>The file that is looked for in a folder.</summary>
    public const string FileName = "bench.txt";

    /// <summary>Reads a list.</summary>
    /// <param name="path">The file, or a folder with <see cref="FileName"/>.</param>
    /// <param name="python">What stands for <c>python3</c> at the start of a command.</param>
    /// <exception cref="MystiqueException">It is not there, or a line makes no sense (MYS204, MYS205).</exception>
    public static ImmutableArray<BenchWorkload> Read(string path, string python)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, FileName) : path;
        var workloads = ImmutableArray.CreateBuilder<BenchWorkload>();
        foreach (var (index, raw) in TableText.ReadFile(file).Split('\n').Index())
        {
            string line = TableText.WithoutComment(raw).Trim();
            if (line.Length == 0)
                continue;
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["example", var example] && Workloads.Contains(example))
                workloads.Add(new BenchWorkload(example, []));
            else if (words.Length > 1 && words[0].EndsWith(':') && words[0].Length > 1 && words[0].AsSpan().IndexOfAny('/', '\\') < 0)
                workloads.Add(new BenchWorkload(words[0][..^1], [words[1] == "python3" ? python : words[1], .. words[2..]]));
            else
                throw Problems.BenchLineInvalid(file, index + 1, raw);
        }
        return workloads.ToImmutable();
    }
}
