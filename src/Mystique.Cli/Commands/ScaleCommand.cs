using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Packaging;
using Mystique.Reporting;
using Mystique.Scaling;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique scale</c>: the benchmark of a job at another batch, length or width, from two captures.</summary>
internal static partial class ScaleCommand
{
    public static Command Create()
    {
        var inputs = new Argument<string[]>("TRACE|CAPTURE:NAME=VALUE")
        {
            Description = "Two traces or captures of one job, each with the value that a parameter had; four for two parameters "
                + "(A:batch=2,length=64), each combination once",
            Arity = ArgumentArity.OneOrMore,
        };
        var to = new Option<string>("--to") { Description = "The values that are asked for", HelpName = "NAME=VALUE", Required = true };
        var output = new Option<string>("--output", "-o") { Description = "The package's folder", HelpName = "DIR", Required = true };
        var check = new Option<string?>("--check")
        {
            Description = "A capture at the value that is asked for: the benchmark has to have the same operators, shapes and arguments",
            HelpName = "TRACE|CAPTURE",
        };
        var part = SharedOptions.Part.Create();
        var command = new Command("scale",
            """
            Makes the benchmark of a job at another value of a parameter (batch, length, width) from captures at two values: which
            sizes and arguments depend on it, and how. Each operator is then run once without memory, to see that all fits.

            Example:
              mystique scale job2:batch=2 job4:batch=4 --to batch=64 -o job64.bench
              mystique scale a:batch=2,length=16 b:batch=4,length=16 c:batch=2,length=32 d:batch=4,length=32 \
                --to batch=64,length=512 -o large.bench
            """)
        { inputs, to, output, check };
        part.AddTo(command);
        command.Validators.Add(result =>
        {
            foreach (string value in result.GetValue(inputs)!.Where(v => !Named().IsMatch(v)))
                result.AddError($"'{value}' is no capture with the value of a parameter, for example job:batch=4.");
            if (result.GetValue(to) is { } wanted && !Named().IsMatch($"x:{wanted}"))
                result.AddError($"--to: '{wanted}' is no value of a parameter, for example batch=64.");
        });
        command.SetAction(result =>
        {
            string folder = result.GetValue(output)!;
            Benchmark.CheckTarget(folder);
            Benchmark Open(string path) => Benchmark.Create(Inputs.Open(path), part.Read(result, new BenchmarkOptions()));
            var scaled = ScaleGrid.Scale([.. result.GetValue(inputs)!.Select(Read).Select(i => (i.Values, Open(i.Path)))],
                Read($"x:{result.GetValue(to)}").Values);
            using var knowledge = new OperatorKnowledge(BundledParts.Default());
            var (known, all) = BenchmarkScaler.Check(scaled.Plan, knowledge);
            if (result.GetValue(check) is { } third && BenchmarkScaler.DifferenceFrom(scaled.Plan, Open(third).Plan) is { } difference)
                throw Problems.ScaledInconsistent(third, difference);
            scaled.Save(folder);
            PlanTables.WriteCoverage(scaled.Plan);
            PlanTables.WriteLevels(scaled);
            Terminal.WriteLine($"{Figures.Number(known)} of {Figures.Number(all)} different operators were run without memory, and all fit"
                + (result.GetValue(check) is null ? "" : "; the benchmark is that of the third capture"));
            Terminal.WriteLine($"wrote {folder}: {Benchmark.ProgramFile}, {Benchmark.ManifestFile}, {RunScript.FileName}");
            Terminal.Next($"mystique run {Terminal.Quote(folder)}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static (string Path, ImmutableSortedDictionary<string, long> Values) Read(string text)
    {
        var match = Named().Match(text);
        return (match.Groups[1].Value, match.Groups[2].Captures.Zip(match.Groups[3].Captures)
            .ToImmutableSortedDictionary(p => p.First.Value, p => long.Parse(p.Second.ValueSpan, CultureInfo.InvariantCulture),
                StringComparer.Ordinal));
    }

    /// <summary>At most four parameters, each named once.</summary>
    [GeneratedRegex(@"\A(.+):(?:([A-Za-z_][A-Za-z0-9_]*)=([1-9][0-9]{0,8})(?!.*,\2=)(?:,(?!\z)|\z)){1,4}\z")]
    private static partial Regex Named();
}
