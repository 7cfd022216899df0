using System.Diagnostics;
using System.Globalization;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Fleet.Tests;

namespace Mystique.Benchmarks;

/// <summary>How well suites project a fleet, and how long it takes to choose them.</summary>
internal static class FleetEvaluation
{
    private const int Repeats = 200;

    /// <summary>Runs what the arguments ask for.</summary>
    public static void Run(string[] arguments)
    {
        if (arguments is ["accuracy", var fleet, var suite, var run])
            Accuracy(fleet, suite, run);
        else if (arguments is ["scale", var count])
            Scale(int.Parse(count, CultureInfo.InvariantCulture));
        else if (arguments is ["catalogue", var trace, var traces])
            Catalogue(trace, int.Parse(traces, CultureInfo.InvariantCulture));
        else
            Console.Error.WriteLine("usage: fleet accuracy FLEET SUITE-OF-ALL RUN.json | fleet scale ROWS | fleet catalogue TRACE COUNT");
    }

    /// <summary>
    /// Of a fleet whose units were all measured on another machine, what suites of several sizes would have said: against random suites
    /// of as many members, the heaviest units, and medoids with the weights of their clusters.
    /// </summary>
    private static void Accuracy(string fleet, string all, string file)
    {
        using var database = FleetDatabase.Open(FleetFolder.Open(fleet));
        var units = FleetUnit.Of(database.Rows(), out _);
        var measured = SuiteRunDocument.Read(file).Members.Where(m => m.MedianNs is not null)
            .ToDictionary(m => m.Name, m => m.MedianNs!.Value);
        var plans = SuiteDocument.Read(all).Members().Where(m => measured.ContainsKey(m.Name))
            .ToDictionary(m => m.PlanDigest, m => measured[m.Name]);
        units = [.. units.Where(u => u.IterationNs is not null && plans.ContainsKey(u.Row.PlanDigest))];
        double[] y = [.. units.Select(u => plans[u.Row.PlanDigest] / u.IterationNs!.Value)];
        double weight = units.Sum(u => u.Weight);
        double truth = units.Select((u, i) => u.Weight * y[i]).Sum() / weight;
        var of = units.Index().ToDictionary(u => u.Item.Row.PlanDigest, u => y[u.Index]);
        Console.WriteLine($"{units.Length} units, hours there for one here: {truth:0.000}; of single units {y.Min():0.00} to "
            + $"{y.Max():0.00}");
        Console.WriteLine("| members | median error | 95th percentile | 95 % interval covers | half width, median "
            + "| better than of random suites | random, median | heaviest | medoids alone |");
        Console.WriteLine("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (int size in (int[])[6, 9, 15, 21, 30, 45])
        {
            var errors = new List<double>();
            var widths = new List<double>();
            int covered = 0;
            for (int seed = 1; seed <= Repeats; seed++)
            {
                var suite = SuiteBuilder.DocumentOf(SuiteSelector.Select(units, new SelectionRequest { Size = size, Seed = seed }),
                    new SuiteOrigin(units.Length, 0, "accelerator_hours", "", 1, null));
                var estimate = Projection.Of(suite, suite.Members().ToDictionary(m => m.Name, m => of[m.PlanDigest]));
                errors.Add(Math.Abs(estimate.Mean / truth - 1));
                widths.Add((estimate.HalfWidth ?? 0) / truth);
                covered += estimate.From <= truth && truth <= estimate.To ? 1 : 0;
            }
            var random = new Random(1);
            double WeightedError(IEnumerable<int> some, Func<int, double> weightOf) => Math.Abs(some.Sum(i => weightOf(i) * y[i])
                / some.Sum(weightOf) / truth - 1);
            double[] byChance = [.. Enumerable.Range(0, 1000).Select(_ =>
            {
                int[] places = [.. Enumerable.Range(0, units.Length)];
                random.Shuffle(places);
                return WeightedError(places[..size], i => units[i].Weight);
            }).Order()];
            double heaviest = WeightedError(Enumerable.Range(0, units.Length).OrderByDescending(i => units[i].Weight).Take(size), i =>
                units[i].Weight);
            var space = FeatureSpace.Of(units);
            int[] medoids = FacilityLocation.Refined(space, [.. Enumerable.Range(0, units.Length)], [.. units.Select(u => u.Weight)], size,
                []);
            var clusters = medoids.ToDictionary(m => m, _ => 0.0);
            for (int i = 0; i < units.Length; i++)
                clusters[medoids.MinBy(m => space.Distance(i, m))] += units[i].Weight;
            double median = errors.Order().ElementAt(Repeats / 2);
            string P(double share) => share.ToString("0.0 %", CultureInfo.InvariantCulture);
            Console.WriteLine($"| {size} | {P(median)} | {P(errors.Order().ElementAt(Repeats * 95 / 100))} "
                + $"| {P(covered / (double)Repeats)} "
                + $"| {P(widths.Order().ElementAt(Repeats / 2))} | {P(byChance.Count(e => e > median) / 1000.0)} | {P(byChance[500])} "
                + $"| {P(heaviest)} | {P(WeightedError(medoids, m => clusters[m]))} |");
        }
    }

    /// <summary>A catalogue of made-up rows: how long it takes to write, to open, and to choose of.</summary>
    private static void Scale(int count)
    {
        var rows = SimulatedFleet.Rows(count, 1);
        string path = Directory.CreateTempSubdirectory().FullName;
        var folder = FleetFolder.OpenOrCreate(path);
        var watch = Stopwatch.StartNew();
        double Lap()
        {
            double seconds = watch.Elapsed.TotalSeconds;
            watch.Restart();
            return seconds;
        }
        FleetDatabase.WriteRows(folder.PartAt("rows", "part"), rows.Select(r => (r, 1)));
        double written = Lap();
        using var database = FleetDatabase.Open(folder);
        var units = FleetUnit.Of(database.Rows(), out _);
        double read = Lap();
        var plan = SuiteSelector.Select(units, new SelectionRequest { Size = 30 });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{count:N0} rows: written in {written:0.0} s, read in {read:0.0} s, ")
            + string.Create(CultureInfo.InvariantCulture, $"a suite of {plan.Members.Count()} chosen in {Lap():0.0} s; ")
            + string.Create(CultureInfo.InvariantCulture, $"{Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:N0} MB at most"));
        Directory.Delete(path, recursive: true);
    }

    /// <summary>
    /// How many traces are catalogued in a second: a thousand that differ in what autograd numbers from, each as many times as it takes.
    /// A twentieth first, with one thread and with two, in turns.
    /// </summary>
    private static void Catalogue(string trace, int count)
    {
        string path = Directory.CreateTempSubdirectory().FullName;
        string text = File.ReadAllText(trace);
        string[] files = [.. Enumerable.Range(0, count).Select(i => Path.Combine(path, "traces", $"{i / 1000}", $"{i:000000}.et.json"))];
        foreach (var (i, file) in files.Index())
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            if (i < 1000)
                File.WriteAllText(file, text.Replace("\"schema\"", $"\"copy\": {i}, \"schema\"", StringComparison.Ordinal));
            else
                File.CreateSymbolicLink(file, files[i % 1000]);
        }
        double Rate(string name, string[] inputs, int threads)
        {
            var watch = Stopwatch.StartNew();
            var added = FleetScan.Add(FleetFolder.OpenOrCreate(Path.Combine(path, name)), inputs, new FleetScanOptions
            {
                Open = p => Recording.Open(p),
                Parallel = threads,
            });
            Debug.Assert(added.Added == inputs.Length);
            return added.Added / watch.Elapsed.TotalSeconds;
        }
        string[] few = files[..(count / 20)];
        for (int round = 0; round < 3; round++)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{few.Length:N0} traces: {Rate($"one{round}", few, 1):0} a second with one thread, ")
                + string.Create(CultureInfo.InvariantCulture, $"{Rate($"two{round}", few, 2):0} with two"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count:N0} traces: {Rate("all", files, 2):0} a second with two; ")
            + string.Create(CultureInfo.InvariantCulture, $"{Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:N0} MB at most"));
        Directory.Delete(path, recursive: true);
    }
}
