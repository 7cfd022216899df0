using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Drift;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Measurement;

namespace Mystique.Cli.Commands;

/// <summary>Commands of <c>mystique fleet</c> that choose suites, and tell when to choose again.</summary>
internal static class FleetSuiteCommands
{
    /// <summary>Iterations of a member, for a budget.</summary>
    private const double Iterations = 30;

    /// <summary>Seconds that a member takes beside its iterations: a worker starts.</summary>
    private const double StartNs = 10e9;

    /// <summary>An iteration whose time nothing tells.</summary>
    private const double UnknownNs = 1e9;

    public static Command CreateSuite()
    {
        var fleet = FleetCommand.Catalogue();
        var output = Output();
        var size = SharedOptions.OptionalCount("--size", 1, "Members at most, two at least");
        var error = new Option<string?>("--error")
        {
            Description = "As many as a projection with such a 95 % interval needs, for example 3%",
            HelpName = "PERCENT",
        };
        var budget = new Option<string?>("--budget")
        {
            Description = "As many as run in this time on the machines that the fleet ran on, for example 30min",
            HelpName = "TIME",
        };
        var must = new Option<string[]>("--must")
        {
            Description = "What has to be in it: op:NAME, job:NAME, or LABEL=VALUE; repeatable",
            HelpName = "WHAT",
            DefaultValueFactory = _ => [],
        };
        var parts = new Option<string?>("--parts")
        {
            Description = "A phase (forward, backward, optimizer) with such a share of an iteration's time stands for the iteration, "
                + "for example 80%. Default: whole iterations",
            HelpName = "PERCENT",
        };
        var seed = SharedOptions.Count("--seed", 1, 0, "The seed of what is drawn");
        var command = new Command("suite",
            "Chooses a suite: benchmarks with weights that stand for the fleet, with an interval. Default: 30 members.")
        { fleet, output, size, error, budget, must, parts, seed };
        command.Validators.Add(result =>
        {
            int asked = (result.GetValue(size) is null ? 0 : 1) + (result.GetValue(error) is null ? 0 : 1)
                + (result.GetValue(budget) is null ? 0 : 1);
            if (asked > 1)
                result.AddError("--size, --error and --budget say the same in three ways: name one.");
            if (result.GetValue(error) is { } percent && ShareOf(percent) is null)
                result.AddError($"--error takes percents above 0, not '{percent}'.");
            if (result.GetValue(parts) is { } part && ShareOf(part) is not (> 0.5 and < 1))
                result.AddError($"--parts takes percents above 50 and below 100, not '{part}'.");
            if (result.GetValue(budget) is { } time && NanosecondsOf(time) is null)
                result.AddError($"--budget takes a time such as 90s, 30min or 2h, not '{time}'.");
        });
        command.SetAction(result =>
        {
            string target = result.GetValue(output)!, path = result.GetValue(fleet)!;
            SuiteFolder.CheckTarget(target);
            using var database = FleetDatabase.Open(FleetFolder.Open(path), withOperators: true);
            var rows = database.Rows();
            var units = FleetUnit.Of(rows, out int unweighted);
            if (units.IsEmpty)
                throw Problems.FleetEmpty(path, rows.IsEmpty ? "it is empty" : "all weights are 0");
            double CostOf(FleetUnit unit) => StartNs + Iterations * (unit.IterationNs ?? UnknownNs);
            var request = new SelectionRequest
            {
                Size = result.GetValue(size) ?? (result.GetValue(error) is null && result.GetValue(budget) is null ? 30 : null),
                Error = result.GetValue(error) is { } percent ? ShareOf(percent) : null,
                BudgetNs = result.GetValue(budget) is { } time ? NanosecondsOf(time) : null,
                CostOf = CostOf,
                Must = [.. result.GetValue(must)!.Select(m => PlaceOf(m, units, database)).Distinct()],
                Seed = result.GetValue(seed),
            };
            var plan = SuiteSelector.Select(units, request);
            double cost = plan.Members.Sum(m => CostOf(units[m.Unit]));
            if (cost > request.BudgetNs)
                throw Problems.BudgetTooSmall(string.Create(CultureInfo.InvariantCulture, $"{cost / 1e9:N0} s"));
            var suite = Write(target, SuiteBuilder.DocumentOf(plan, OriginOf(rows, unweighted, 1, null)), null,
                result.GetValue(parts) is { } share ? ShareOf(share) : null);
            FleetTables.Write(suite);
            Terminal.WriteLine($"wrote {target}");
            Terminal.Next(Run(target));
            return (int)ExitCode.Done;
        });
        return command;
    }

    public static Command CreateDrift()
    {
        var fleet = FleetCommand.Catalogue();
        var suite = SuiteOption();
        var since = Since();
        var command = new Command("drift",
            "Whether the fleet has moved away from a suite since a day. Exit code 0: it has not; 3: a refresh is advised.")
        { fleet, suite, since };
        command.SetAction(result =>
        {
            var drift = DriftOf(result.GetValue(fleet)!, SuiteDocument.Read(result.GetValue(suite)!), result.GetValue(since)!, out _);
            FleetTables.Write(drift);
            Terminal.Next(drift.Advice == RefreshAdvice.None ? Run(result.GetValue(suite)!)
                : $"mystique fleet refresh {Terminal.Quote(result.GetValue(fleet)!)} --suite {Terminal.Quote(result.GetValue(suite)!)} "
                    + $"--since {result.GetValue(since)} -o suite-next");
            return (int)(drift.Advice == RefreshAdvice.None ? ExitCode.Done : ExitCode.TooFarOff);
        });
        return command;
    }

    public static Command CreateRefresh()
    {
        var fleet = FleetCommand.Catalogue();
        var suite = SuiteOption();
        var since = Since();
        var output = Output();
        var how = new Option<RefreshAdvice?>("--how")
        {
            Description = "weights: new weights for the same members; additions: members more for what is new; reselection: chosen again. "
                + "Default: what drift advises",
            HelpName = "weights|additions|reselection",
        };
        var command = new Command("refresh",
            "Makes the next edition of a suite. Where drift advises nothing, and nothing is asked for, nothing is written.")
        { fleet, suite, since, output, how };
        command.SetAction(result =>
        {
            string path = result.GetValue(fleet)!, old = result.GetValue(suite)!, target = result.GetValue(output)!;
            SuiteFolder.CheckTarget(target);
            var before = SuiteDocument.Read(old);
            var drift = DriftOf(path, before, result.GetValue(since)!, out var rows);
            FleetTables.Write(drift);
            var advice = result.GetValue(how) ?? drift.Advice;
            if (advice == RefreshAdvice.None)
            {
                Terminal.WriteLine("nothing is advised, and nothing was written");
                Terminal.Next(Run(old));
                return (int)ExitCode.Done;
            }
            var next = Write(target, SuiteRefresh.Make(rows, before, SuiteFolder.DigestOf(old), advice, drift.UncoveredPlans, path),
                (old, before));
            FleetTables.Write(next);
            Terminal.WriteLine($"wrote edition {next.Edition} to {target}; run both editions once on one machine, then "
                + "mystique suite compare --link chains their scores");
            Terminal.Next(Run(target));
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static string Run(string suite) => $"mystique suite run {Terminal.Quote(suite)} -o here.json";

    private static SuiteDocument Write(string target, SuiteDocument suite, (string, SuiteDocument)? earlier, double? least = null) =>
        SuiteFolder.Write(target, suite, path => BundledParts.Default().Open(path), earlier, least);

    private static SuiteOrigin OriginOf(ImmutableArray<FleetRow> rows, int unweighted, int edition, string? previous) => new(rows.Length,
        unweighted, rows.Any(r => r.Weight is not null) ? "accelerator_hours" : "traces", SuiteOrigin.DigestOf(rows), edition, previous);

    private static FleetDrift DriftOf(string path, SuiteDocument suite, string since, out ImmutableArray<FleetRow> rows)
    {
        using (var database = FleetDatabase.Open(FleetFolder.Open(path)))
            rows = database.Rows();
        return FleetDrift.Of(rows, suite, DateOnly.ParseExact(since, "yyyy-MM-dd", CultureInfo.InvariantCulture));
    }

    private static Option<string> Output() => new("--output", "-o")
    {
        Description = "The suite's folder",
        HelpName = "SUITE",
        Required = true
    };

    private static Option<string> SuiteOption() => new("--suite")
    {
        Description = "The suite's folder",
        HelpName = "SUITE",
        Required = true
    };

    private static Option<string> Since()
    {
        var option = new Option<string>("--since") { Description = "The first day that is new", HelpName = "2026-11-27", Required = true };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } text && !DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture,
                DateTimeStyles.None, out _))
                result.AddError($"--since takes a day such as 2026-11-27, not '{text}'.");
        });
        return option;
    }

    private static double? ShareOf(string text) => double.TryParse(text.TrimEnd('%'), NumberStyles.Float, CultureInfo.InvariantCulture,
        out double percent) && percent > 0 && double.IsFinite(percent) ? percent / 100 : null;

    private static double? NanosecondsOf(string text) =>
        TimeText.NanosecondsOf(text, ("min", 60e9), ("h", 3600e9), ("s", 1e9)) is { } time && time > 0 && double.IsFinite(time) ? time
            : null;

    /// <summary>The heaviest unit that is what the user wants.</summary>
    private static int PlaceOf(string must, ImmutableArray<FleetUnit> units, FleetDatabase database)
    {
        Func<FleetUnit, bool> isWanted;
        if (must.StartsWith("op:", StringComparison.Ordinal))
        {
            var plans = new HashSet<string>(StringComparer.Ordinal);
            string name = must[3..].Replace("'", "''", StringComparison.Ordinal);
            database.Query($"SELECT DISTINCT plan_digest FROM operators WHERE operator = '{name}' OR starts_with(operator, '{name}.')",
                reader =>
                {
                    while (reader.Read())
                        plans.Add(reader.GetString(0));
                });
            isWanted = u => plans.Contains(u.Row.PlanDigest);
        }
        else if (must.StartsWith("job:", StringComparison.Ordinal))
            isWanted = u => u.Row.Job == must[4..];
        else
            isWanted = must.Split('=', 2) is [var label, var value] ? u => u.Row.Labels.GetValueOrDefault(label) == value : _ => false;
        return units.Index().Where(u => isWanted(u.Item)).OrderByDescending(u => u.Item.Weight).Select(u => (int?)u.Index).FirstOrDefault()
            ?? throw Problems.FleetMustUnknown(must);
    }
}
