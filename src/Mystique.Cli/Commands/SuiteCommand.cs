using System.CommandLine;
using System.Globalization;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fleet.Suites;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique suite</c>: measures a suite, and compares two machines by it.</summary>
internal static class SuiteCommand
{
    public static Command Create() => new("suite",
        """
        Measures a suite of benchmarks, projects the fleet that it stands for, and compares machines by it (docs/fleet.md).

        Example:
          mystique suite run suite -o here.json
          mystique suite compare here.json there.json --suite suite
        """)
    { CreateRun(), CreateCompare() };

    private static Command CreateRun()
    {
        var suite = new Argument<string>("SUITE") { Description = "The suite's folder" };
        var output = new Option<string>("--output", "-o")
        {
            Description = "The run's document; one that is there goes on where it was",
            HelpName = "FILE",
            Required = true,
        };
        var replay = SharedOptions.Replay.Create();
        var verify = new Option<bool>("--no-verify") { Description = "Omit the check that each member runs as recorded" };
        var engines = EngineOptions.OfChoice();
        var command = new Command("run", "Runs the members one after the other, and projects the fleet's time and memory.")
        { suite, output, replay.Iterations, replay.Warmup, replay.Level, verify };
        engines.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            await using var engine = engines.Read(result);
            string folder = result.GetValue(suite)!;
            Terminal.CheckFolder(result.GetValue(output));
            var runner = new SuiteRunner(folder, engine, replay.Read(result) with { Verify = !result.GetValue(verify) });
            var run = await runner.RunAsync(result.GetValue(output)!, (name, number, of) =>
                Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"{number} of {of}: {name}")), cancellation);
            FleetTables.Write(SuiteDocument.Read(folder), run);
            foreach (var failed in run.Members.Where(m => m.Problem is not null))
                Console.Error.WriteLine(PrintableText.Escape($"{failed.Name} did not run: {failed.Problem}"));
            Terminal.Next($"mystique suite compare {Terminal.Quote(result.GetValue(output)!)} THERE.json --suite {Terminal.Quote(folder)}");
            return (int)(run.Fleet is null ? ExitCode.ReplayFailed : ExitCode.Done);
        });
        return command;
    }

    private static Command CreateCompare()
    {
        var first = new Argument<string>("A") { Description = "The run of one side" };
        var second = new Argument<string>("B") { Description = "The run of the other" };
        var suite = new Option<string>("--suite") { Description = "The suite of both", HelpName = "SUITE", Required = true };
        var link = new Option<double[]>("--link")
        {
            Description = "Scores of earlier editions, one after the other, that this one is chained to; repeatable",
            HelpName = "RATIO",
            DefaultValueFactory = _ => [],
        };
        link.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double[]>()?.Any(l => !(l > 0 && double.IsFinite(l))) == true)
                result.AddError("--link takes a ratio above 0.");
        });
        var command = new Command("compare",
            "How much longer the fleet takes on B than on A, with an interval, and which strata drive it.") { first, second, suite, link };
        command.SetAction(result =>
        {
            string folder = result.GetValue(suite)!;
            var document = SuiteDocument.Read(folder);
            string digest = SuiteFolder.DigestOf(folder);
            var (a, b) = (SuiteRunDocument.Read(result.GetValue(first)!), SuiteRunDocument.Read(result.GetValue(second)!));
            foreach (var run in (SuiteRunDocument[])[a, b])
            {
                if (run.SuiteDigest != digest)
                    throw Problems.SuiteRunsDiffer("one of them is of another suite, or edition");
                if (document.Members().FirstOrDefault(m => !run.Members.Any(r => r.Name == m.Name
                    && r.MedianNs is not null)) is { } missing)
                    throw Problems.SuiteRunsDiffer($"{missing.Name} was not measured in one of them");
            }
            FleetTables.Write(SuiteComparison.Of(document, a, b), a, b, result.GetValue(link)!.Aggregate(1.0, (product, l) => product * l));
            Terminal.Next($"mystique fleet drift FLEET --suite {Terminal.Quote(folder)} --since DAY");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
