using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Reporting;
using Mystique.Fleet.Suites;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique fleet</c>: a catalogue of traces, and what is chosen of it.</summary>
internal static class FleetCommand
{
    public static Command Create() => new("fleet",
        """
        A fleet's traces in a catalogue, and the small weighted suite of benchmarks that stands for them (docs/fleet.md).

        Example:
          mystique fleet add fleet traces/ --weights hours.csv
          mystique fleet suite fleet -o suite --size 30
          mystique suite run suite -o here.json
        """)
    {
        CreateAdd(), CreateShow(), CreateQuery(), CreateHtml(), CreateOperators(), FleetSuiteCommands.CreateSuite(),
            FleetSuiteCommands.CreateDrift(),
        FleetSuiteCommands.CreateRefresh(),
    };

    /// <summary>The argument that names a catalogue.</summary>
    internal static Argument<string> Catalogue() => new("FLEET") { Description = "The catalogue's folder" };

    private static Command CreateAdd()
    {
        var fleet = Catalogue();
        var paths = new Argument<string[]>("PATH")
        {
            Description = "Traces, captures, profiles, Chakra files, or folders of them",
            Arity = ArgumentArity.OneOrMore,
        };
        var weights = new Option<string?>("--weights")
        {
            Description = "Accelerator-hours: CSV or Parquet with path or job, accelerator_hours, and if you like date and labels",
            HelpName = "FILE",
        };
        var labels = new Option<string?>("--labels")
        {
            Description = "A pattern (.NET's) whose named groups are labels of a path; job and date are the row's own",
            HelpName = "PATTERN",
        };
        var shard = new Option<string?>("--shard") { Description = "Add the I-th of N parts of the paths alone", HelpName = "I/N" };
        var launcher = new Option<string?>("--launcher")
        {
            Description = "Let shards add them: local, one process after the other; slurm, an array of jobs; kubernetes, a manifest of an "
                + "indexed job on standard output",
            HelpName = "local|slurm|kubernetes",
        };
        launcher.AcceptOnlyFromAmong("local", "slurm", "kubernetes");
        var shards = SharedOptions.Count("--shards", 8, 1, "How many, with --launcher");
        var image = new Option<string>("--image")
        {
            Description = "With --launcher kubernetes, the image that has mystique",
            HelpName = "NAME",
            DefaultValueFactory = _ => "mystique",
        };
        var parallel = SharedOptions.OptionalCount("--parallel", 1, "Traces that are read at a time; default: as many as processors");
        var command = new Command("add",
            "Adds traces to a catalogue, which is made where there is none. What is there already stays as it is; what cannot be read is "
                + "set aside, with its reason.")
        { fleet, paths, weights, labels, shard, launcher, shards, image, parallel };
        command.Validators.Add(result =>
        {
            if (result.GetValue(labels) is { } text && PatternOf(text) is null)
                result.AddError($"--labels: '{text}' is no pattern.");
            if (result.GetValue(shard) is { } part && ShardOf(part) is null)
                result.AddError($"--shard takes I/N, with I from 1 to N, not '{part}'.");
            if (result.GetValue(shard) is not null && result.GetValue(launcher) is not null)
                result.AddError("--launcher starts the shards itself: omit --shard.");
        });
        command.SetAction(async (result, cancellation) =>
        {
            string[] inputs = result.GetValue(paths)!;
            if (result.GetValue(launcher) is { } how)
                return await FleetLauncher.RunAsync(how, result.GetValue(fleet)!, inputs, result.GetValue(weights), result.GetValue(labels),
                    result.GetValue(shards), result.GetValue(image)!, cancellation);
            var folder = FleetFolder.OpenOrCreate(result.GetValue(fleet)!);
            var added = Terminal.WithProgress(progress => FleetScan.Add(folder, inputs, new FleetScanOptions
            {
                Weights = result.GetValue(weights) is { } file ? WeightFile.Read(file) : null,
                Labels = result.GetValue(labels) is { } pattern ? PatternOf(pattern) : null,
                Shard = result.GetValue(shard) is { } part ? ShardOf(part) : null,
                Parallel = result.GetValue(parallel),
                Open = path => BundledParts.Default().Open(path),
            }, progress is null ? null : (done, all) => progress.Report(new ReplayProgress("reading", done, all)), cancellation));
            Terminal.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{added.Added:N0} added, {added.Known:N0} known, ")
                + string.Create(CultureInfo.InvariantCulture,
                    $"{added.Reweighted:N0} with another weight, {added.Aside.Length:N0} set aside"));
            foreach (var entry in added.Aside.Take(20))
                Terminal.Note($"set aside: {entry.Path}: {entry.Id}: {entry.Reason}");
            if (added.Aside.Length > 20)
                Terminal.Note($"set aside: {added.Aside.Length - 20} more, all in {Path.Combine(folder.Path, "aside")}");
            Terminal.Next($"mystique fleet show {Terminal.Quote(folder.Path)}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Regex? PatternOf(string text)
    {
        try
        {
            // Without backtracking: no path makes it take long.
            return new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    private static (int, int)? ShardOf(string text) => text.Split('/') is [var one, var all]
        && int.TryParse(one, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
        && int.TryParse(all, NumberStyles.None, CultureInfo.InvariantCulture, out int of) && number >= 1 && number <= of ? (number, of)
            : null;

    private static Command CreateShow()
    {
        var fleet = Catalogue();
        var command = new Command("show", "What is in a catalogue, by weight.") { fleet };
        command.SetAction(result =>
        {
            var folder = FleetFolder.Open(result.GetValue(fleet)!);
            ImmutableArray<FleetRow> rows;
            using (var database = FleetDatabase.Open(folder))
                rows = database.Rows();
            FleetTables.Write(folder, rows);
            Terminal.Next($"mystique fleet suite {Terminal.Quote(result.GetValue(fleet)!)} -o suite");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command CreateQuery()
    {
        var fleet = Catalogue();
        var sql = new Argument<string>("SQL") { Description = "A SELECT over the tables rows and operators" };
        var json = new Option<bool>("--json") { Description = "Write rows as JSON lines" };
        var command = new Command("query", "Asks the catalogue in SQL (DuckDB's). Nothing can be written.") { fleet, sql, json };
        command.SetAction(result =>
        {
            using var database = FleetDatabase.Open(FleetFolder.Open(result.GetValue(fleet)!), withOperators: true);
            database.Query(result.GetValue(sql)!, (reader, isJson) =>
            {
                string[] names = [.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetName)];
                var table = Terminal.Table("", names);
                while (reader.Read())
                {
                    if (result.GetValue(json))
                        Console.Out.WriteLine(RowJson.LineOf(reader, isJson));
                    else
                        table.Row([.. names.Select((_, i) => reader.IsDBNull(i) ? ""
                            : RowJson.TextOf(RowJson.ValueOf(reader, isJson, i)))]);
                }
                if (!result.GetValue(json))
                    Terminal.Write(table);
            });
            Terminal.Next($"mystique fleet operators {Terminal.Quote(result.GetValue(fleet)!)} --top 20");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command CreateHtml()
    {
        var fleet = Catalogue();
        var output = new Option<string>("--output", "-o") { Description = "The page", HelpName = "FILE", Required = true };
        var suite = new Option<string?>("--suite") { Description = "A suite of the fleet, to see what it leaves out", HelpName = "SUITE" };
        var command = new Command("html", "Writes the catalogue as a page: families, a map, operators, and what a suite leaves out.")
        { fleet, output, suite };
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(output));
            string path = result.GetValue(fleet)!;
            using var database = FleetDatabase.Open(FleetFolder.Open(path), withOperators: true);
            var document = result.GetValue(suite) is { } folder ? SuiteDocument.Read(folder) : null;
            Terminal.WriteFile(result.GetValue(output)!, stream =>
                FleetHtml.Write(Path.GetFileName(Path.GetFullPath(path)), database, document,
                stream));
            Terminal.Next($"mystique fleet suite {Terminal.Quote(path)} -o suite");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command CreateOperators()
    {
        var fleet = Catalogue();
        var output = new Option<string>("--output", "-o")
        {
            Description = "JSON lines, the operator with the most weight first; - is standard output",
            HelpName = "FILE",
            DefaultValueFactory = _ => Terminal.StandardOutput,
        };
        var top = SharedOptions.OptionalCount("--top", 1, "So many alone");
        var command = new Command("operators",
            "The fleet's operators with their arguments, each once, by what they ask for: for those who tune kernels.") { fleet, output,
                top };
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(output));
            using var database = FleetDatabase.Open(FleetFolder.Open(result.GetValue(fleet)!), withOperators: true);
            string? first = null;
            Terminal.WriteFile(result.GetValue(output)!, stream =>
            {
                using var text = new StreamWriter(stream);
                database.Query($"""
                    WITH plans AS (SELECT plan_digest, sum(coalesce(weight,
                        CASE WHEN (SELECT count(weight) FROM rows) = 0 THEN 1 ELSE 0 END))
                        AS weight, coalesce(avg(iteration_ns), (SELECT avg(iteration_ns) FROM rows), 1) AS ns,
                            min(path) AS trace FROM rows GROUP BY plan_digest)
                    SELECT * FROM (SELECT operator, arguments, class, sum(weight * count / ns) AS calls,
                        sum(weight * count * flops / ns) AS flops, sum(weight * count * bytes / ns) AS bytes,
                        count(*) AS plans, arg_max(trace, weight) AS trace, arg_max(node, weight) AS node
                    FROM operators JOIN plans USING (plan_digest) GROUP BY operator, arguments, class)
                    ORDER BY greatest(coalesce(flops, 0) / 2e13, coalesce(bytes, 0) / 1e12, calls * 5e-6) DESC, operator, arguments
                    LIMIT {result.GetValue(top) ?? int.MaxValue}
                    """, reader =>
                {
                    while (reader.Read())
                    {
                        text.WriteLine(RowJson.LineOf(reader));
                        first ??= $"mystique extract {Terminal.Quote(reader.GetString(reader.GetOrdinal("trace")))} "
                            + $"--operator {reader.GetInt64(reader.GetOrdinal("node"))} -o repro.py";
                    }
                });
            });
            if (first is not null)
                Terminal.Next(first);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
