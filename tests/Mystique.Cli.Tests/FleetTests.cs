using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>A fleet from an empty folder to a refreshed suite, as the tutorial of <c>docs/fleet.md</c> has it.</summary>
public sealed class FleetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private void AddWeighted()
    {
        File.WriteAllText(At("hours.csv"), "job,accelerator_hours,date\ngpt.et.json.gz,100,2026-10-01\nresnet18.et.json.gz,50,2026-10-02\n"
            + "dlrm.et.json.gz,25,2026-10-03\nbilstm.et.json.gz,5,2026-11-10\n");
        CommandLine.Run("fleet", "add", At("fleet"), Repository.ExampleTraces, "--weights", At("hours.csv")).AssertOk();
    }

    /// <summary>Traces that have a profile beside them: the phase with most of the time stands for the iteration.</summary>
    [Fact]
    public void Suite_OfParts_RunsThePhaseThatDominates()
    {
        foreach (string name in (string[])["gemm", "conv"])
            foreach (string kind in (string[])["et", "kineto"])
                File.Copy(Path.Combine(Repository.Root, "examples", "gpu", $"{name}.{kind}.json.gz"),
                    Path.Combine(Directory.CreateDirectory(At("traces")).FullName, $"{name}.{kind}.json.gz"));
        CommandLine.Run("fleet", "add", At("fleet"), At("traces")).AssertOk();
        var made = CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("suite"), "--size", "2", "--parts", "51%");
        made.AssertOk();
        Assert.Contains("are parts of their iteration", made.Output, StringComparison.Ordinal);
        var suite = JsonNode.Parse(File.ReadAllText(At("suite/suite.json")))!;
        JsonNode[] members = [.. suite["strata"]!.AsArray().SelectMany(s => s!["members"]!.AsArray())!];
        Assert.Contains(members, m => (string?)m["part"] == "phase:backward" && (double)m["part_share"]! is > 0.51 and < 1);
        var run = CommandLine.Run("suite", "run", At("suite"), "-o", At("run.json"), "--iterations", "1", "--warmup", "0", "--no-verify");
        run.AssertOk();
        var document = JsonNode.Parse(File.ReadAllText(At("run.json")))!;
        // What the parts took, by their shares, over what the iterations took; and no peak, for a part's is not the whole's.
        var figure = document["fleet"]!.AsArray().Single()!;
        Assert.Equal("time_ratio", (string)figure["name"]!);
        Assert.Equal(members.Average(m => (double)document["members"]!.AsArray().Single(r => (string)r!["name"]! == (string)m["name"]!)!
            ["median_ns"]! / ((double?)m["part_share"] ?? 1) / (double)m["reference_ns"]!), (double)figure["weighted"]!, 1e-6);
        Assert.Equal(2, CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("x"), "--parts", "40%").ExitCode);
    }

    [Fact]
    public void Suite_OfTheExamples_RunsAndProjects()
    {
        AddWeighted();
        var shown = CommandLine.Run("fleet", "show", At("fleet"));
        shown.AssertOk();
        Assert.Contains("180 accelerator-hours", shown.Output, StringComparison.Ordinal);
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("suite"), "--size", "4", "--must", "job:bilstm.et.json.gz").AssertOk();
        var suite = JsonNode.Parse(File.ReadAllText(At("suite/suite.json")))!;
        Assert.Equal("mystique-suite", (string)suite["format"]!);
        Assert.Equal(180, (double)suite["weight"]!);
        CommandLine.Run("fleet", "html", At("fleet"), "-o", At("fleet.html"), "--suite", At("suite")).AssertOk();
        string page = File.ReadAllText(At("fleet.html"));
        Assert.Contains("Map of the fleet", page, StringComparison.Ordinal);
        Assert.Contains("Strata of the suite", page, StringComparison.Ordinal);

        var run = CommandLine.Run("suite", "run", At("suite"), "-o", At("a.json"), "--iterations", "2", "--warmup", "0", "--no-verify");
        run.AssertOk();
        var document = JsonNode.Parse(File.ReadAllText(At("a.json")))!;
        Assert.All(document["members"]!.AsArray(), m => Assert.True((double)m!["median_ns"]! > 0));
        Assert.Equal("iteration_ns", (string)document["fleet"]![0]!["name"]!); // Traces without profiles have no times of their own.

        // A run that was interrupted goes on: what is there is not measured again.
        var members = document["members"]!.AsArray();
        double kept = (double)members[0]!["median_ns"]!;
        while (members.Count > 1)
            members.RemoveAt(1);
        document.AsObject().Remove("fleet");
        File.WriteAllText(At("b.json"), document.ToJsonString());
        CommandLine.Run("suite", "run", At("suite"), "-o", At("b.json"), "--iterations", "2", "--warmup", "0", "--no-verify").AssertOk();
        Assert.Equal(kept, (double)JsonNode.Parse(File.ReadAllText(At("b.json")))!["members"]![0]!["median_ns"]!);
        var compared = CommandLine.Run("suite", "compare", At("a.json"), At("b.json"), "--suite", At("suite"));
        compared.AssertOk();
        Assert.Contains("the fleet takes", compared.Output, StringComparison.Ordinal);

        // A benchmark that is not the one that was selected is not measured.
        string manifest = Directory.EnumerateFiles(At("suite/benchmarks"), "benchmark.json", SearchOption.AllDirectories).First();
        File.AppendAllText(manifest, "\n");
        var changed = CommandLine.Run("suite", "run", At("suite"), "-o", At("c.json"));
        Assert.Equal(2, changed.ExitCode);
        Assert.Contains("MYS511", changed.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Suite_Twice_IsTheSameBytes()
    {
        AddWeighted();
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("one"), "--size", "3").AssertOk();
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("two"), "--size", "3").AssertOk();
        Assert.Equal(File.ReadAllText(At("one/suite.json")), File.ReadAllText(At("two/suite.json")));
        // A suite is replaced, with nothing that lies beside it; what is none stays.
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("two"), "--size", "3").AssertOk();
        File.WriteAllText(At("two/here.json"), "{}");
        Assert.Equal(2, CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("two")).ExitCode);
        Assert.True(File.Exists(At("two/here.json")));
        var refused = CommandLine.Run("fleet", "suite", At("fleet"), "-o", _folder);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("MYS304", refused.Error, StringComparison.Ordinal);
        var dear = CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("three"), "--budget", "1s");
        Assert.Equal(2, dear.ExitCode);
        Assert.Contains("MYS516", dear.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(At("three")));
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("three"), "--budget", "1h").AssertOk();
    }

    [Fact]
    public void Drift_AndRefresh_MakeTheNextEdition()
    {
        AddWeighted();
        CommandLine.Run("fleet", "suite", At("fleet"), "-o", At("suite"), "--size", "3").AssertOk();
        var drift = CommandLine.Run("fleet", "drift", At("fleet"), "--suite", At("suite"), "--since", "2026-11-01");
        Assert.True(drift.ExitCode is 0 or 3, drift.Error);
        Assert.Contains("advice", drift.Output, StringComparison.Ordinal);
        CommandLine.Run("fleet", "refresh", At("fleet"), "--suite", At("suite"), "--since", "2026-11-01", "-o", At("next"), "--how",
            "additions").AssertOk();
        var next = JsonNode.Parse(File.ReadAllText(At("next/suite.json")))!;
        Assert.Equal(2, (int)next["edition"]!);
        Assert.Equal(64, ((string)next["previous"]!).Length);
    }

    [Fact]
    public void Query_IsReadOnly()
    {
        AddWeighted();
        var asked = CommandLine.Run("fleet", "query", At("fleet"), "SELECT job, weight FROM rows ORDER BY weight DESC LIMIT 1", "--json");
        asked.AssertOk();
        Assert.Equal("{\"job\":\"gpt.et.json.gz\",\"weight\":100}", asked.Output.Trim());
        var typed = CommandLine.Run("fleet", "query", At("fleet"),
            "SELECT sum(1) AS n, 1.5::DECIMAL(5, 2) AS d, [1, 2] AS l, DATE '2026-01-02' AS t, true AS b, 'nan'::DOUBLE AS x, NULL AS z",
            "--json");
        Assert.Equal("{\"n\":1,\"d\":1.50,\"l\":[1,2],\"t\":\"2026-01-02\",\"b\":true,\"x\":\"NaN\",\"z\":null}", typed.Output.Trim());
        const string Nested = "SELECT [1.5::DECIMAL(5, 2)] AS l, MAP{'k': 2.5} AS m, {'a': ['x']} AS \"s \"\"q\", "
            + "[uuid() IS NULL] AS u, 7 AS n";
        var nested = CommandLine.Run("fleet", "query", At("fleet"), Nested, "--json");
        nested.AssertOk();
        Assert.Equal("{\"l\":[1.5],\"m\":{\"k\":2.5},\"s \\u0022q\":{\"a\":[\"x\"]},\"u\":[false],\"n\":7}", nested.Output.Trim());
        var shown = CommandLine.Run("fleet", "query", At("fleet"), "SELECT {'a': [1, 2]} AS s");
        Assert.Contains("{a: [1, 2]}", shown.Output);
        var refused = CommandLine.Run("fleet", "query", At("fleet"), "DELETE FROM rows");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("MYS508", refused.Error, StringComparison.Ordinal);
        var operators = CommandLine.Run("fleet", "operators", At("fleet"), "--top", "2");
        operators.AssertOk();
        Assert.All(operators.Output.Trim().Split('\n'), l => Assert.NotNull((string?)JsonNode.Parse(l)!["operator"]));
    }

    /// <summary>An array of eight shards on a Slurm of one node selects what one run does.</summary>
    [Fact]
    public void Add_ByAnArrayOfJobs_IsTheSame()
    {
        using var cluster = SlurmCluster.Start(At("slurm"));
        CommandLine.Run("fleet", "add", At("whole"), Repository.ExampleTraces).AssertOk();
        CommandLine.RunWith("SLURM_CONF", cluster.Config, "fleet", "add", At("parts"), Repository.ExampleTraces, "--launcher", "slurm",
            "--shards", "8").AssertOk();
        foreach (string fleet in (string[])["whole", "parts"])
            CommandLine.Run("fleet", "suite", At(fleet), "-o", At(fleet + ".suite"), "--size", "3").AssertOk();
        Assert.Equal(File.ReadAllText(At("whole.suite/suite.json")), File.ReadAllText(At("parts.suite/suite.json")));
    }

    [Fact]
    public void Add_ByALauncher_IsTheSame()
    {
        CommandLine.Run("fleet", "add", At("whole"), Repository.ExampleTraces).AssertOk();
        CommandLine.Run("fleet", "add", At("parts"), Repository.ExampleTraces, "--launcher", "local", "--shards", "3").AssertOk();
        string Ids(string fleet) => CommandLine.Run("fleet", "query", At(fleet), "SELECT id, plan_digest FROM rows ORDER BY id",
            "--json").Output;
        Assert.Equal(Ids("whole"), Ids("parts"));
        var manifest = CommandLine.Run("fleet", "add", At("k"), Repository.ExampleTraces, "--launcher", "kubernetes", "--shards", "4");
        manifest.AssertOk();
        Assert.Contains("completionMode: Indexed", manifest.Output, StringComparison.Ordinal);
        Assert.Contains("--shard \\\"$((JOB_COMPLETION_INDEX + 1))/4", manifest.Output, StringComparison.Ordinal);
    }
}
