using System.Text.RegularExpressions;

namespace Mystique.Cli.Tests;

/// <summary>On a terminal, the last line of each command tells the next useful one.</summary>
public sealed partial class NextCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    private readonly HashSet<string> _told = [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private string Job(long batch) => ScaleTests.Job(At($"b{batch}.json"), batch);

    /// <summary>Runs a command; what it tells is one that there is, with options that it has.</summary>
    private string Next(params string[] line) => Next([0], line);

    private string Next(int[] exitCodes, params string[] line)
    {
        string text = TerminalRun.Of(null, null, exitCodes, line);
        string last = Escape().Replace(text.Split("\r\n")[^2], "");
        var next = NextLine().Match(last);
        Assert.True(next.Success, $"{string.Join(' ', line)}: {last}");
        _told.Add(Commands.Last(c => $"{string.Join(' ', line)} ".StartsWith($"{c} ", StringComparison.Ordinal)));
        if (next.Groups["command"] is { Success: true } command)
        {
            string name = Commands.LastOrDefault(c => $"{command.Value} ".StartsWith($"{c} ", StringComparison.Ordinal)) ?? "";
            Assert.True(name.Length > 0, last);
            string[] known = HelpTests.OptionsOf(HelpTests.Help(name, "--help-all"));
            Assert.All(Option().Matches(command.Value).Select(m => m.Value),
                o => Assert.Contains(o, known));
        }
        return last[(last.IndexOf("next: ", StringComparison.Ordinal) + "next: ".Length)..];
    }

    /// <summary>The longer ones after the shorter ones.</summary>
    private static string[] Commands { get; } = [.. HelpTests.All([]).OrderBy(c => c.Length)];

    [Fact]
    public void EachCommand_TellsTheNext()
    {
        string trace = Job(4), few = "--iterations", one = "1";
        Assert.Equal($"mystique run {trace}", Next("inspect", trace));
        Assert.Equal($"mystique run {At("bench")}", Next("generate", trace, "-o", At("bench")));
        Assert.Equal($"python3 {At("script.py")}", Next("generate", trace, "--python", At("script.py")));
        Next("run", trace, few, one, "--warmup", "0", "--profile", At("kineto.json"), "--json", At("result.json"));
        Next("run", At("bench"), few, one, "--warmup", "0");
        Next([0, 1], "coverage", trace);
        Next("compare", At("kineto.json"), trace, few, one);
        Next("compare", At("result.json"), At("result.json"));
        Assert.Equal($"mystique inspect {At("again.json")}", Next("convert", trace, "-o", At("again.json")));
        Assert.Equal($"python3 {At("mm.py")}", Next("extract", trace, "--operator", "aten::mm", "-o", At("mm.py")));
        Next("reveal", At("bench"));
        Assert.Equal($"mystique generate {trace} -o changed.bench --drop op:aten::relu",
            Next("whatif", trace, "--drop", "op:aten::relu", "--rounds", "2", few, one));
        Assert.Equal($"mystique inspect {trace} --select op:aten::mm --iteration all",
            Next("whatif", trace, "--speed", "op:aten::mm=2x", "--iteration", "all", "--rounds", "2", few, one));
        Next("scale", $"{Job(2)}:batch=2", $"{trace}:batch=4", "--to", "batch=64", "-o", At("scaled"));
        File.WriteAllText(At("mix.yaml"), $"inputs: {{a: {trace}}}\nconcurrent: [a, a]\n");
        Next("compose", At("mix.yaml"), "-o", At("mix"));
        Next("run", At("mix"), few, one, "--warmup", "0");
        Next("doctor");
        Next("demo", "dlrm", "--rounds", "2", few, one);
        File.WriteAllText(At("list.txt"), "example dlrm\n");
        Next("bench", At("list.txt"), "--rounds", "2", few, one);
        Assert.Equal($"mystique bench {At("list.txt")} --platforms platforms.txt",
            Next("bench", At("list.txt"), "--rounds", "2", few, one, "--markdown", At("bench.md")));

        File.WriteAllText(At("hours.csv"), "job,accelerator_hours,date\nb2.json,100,2026-10-01\nb4.json,50,2026-11-10\n");
        Assert.Equal($"mystique fleet show {At("fleet")}", Next("fleet", "add", At("fleet"), Job(2), trace, "--weights", At("hours.csv")));
        Next("fleet", "show", At("fleet"));
        Next("fleet", "query", At("fleet"), "SELECT path FROM rows");
        Assert.Matches($"^mystique extract {Regex.Escape(_folder)}/b[24].json --operator 3 -o repro.py$",
            Next("fleet", "operators", At("fleet"), "-o", At("operators.jsonl")));
        Next("fleet", "html", At("fleet"), "-o", At("fleet.html"));
        Next("fleet", "suite", At("fleet"), "-o", At("suite"), "--size", "2");
        Next("suite", "run", At("suite"), "-o", At("run.json"), few, one, "--warmup", "0", "--no-verify");
        Next("suite", "compare", At("run.json"), At("run.json"), "--suite", At("suite"));
        string[] since = ["--suite", At("suite"), "--since", "2026-11-01"];
        Assert.Equal($"mystique suite run {At("suite")} -o here.json", Next(["fleet", "drift", At("fleet"), .. since]));
        // A fleet with nothing of the suite.
        string Tanh(string name, long batch) => ScaleTests.Job(At(name), batch, "aten::tanh(Tensor self) -> Tensor");
        File.WriteAllText(At("other.csv"), "job,accelerator_hours,date\nt1.json,100,2026-10-01\nt2.json,50,2026-11-10\n");
        CommandLine.Run("fleet", "add", At("other"), Tanh("t1.json", 8), Tanh("t2.json", 16), "--weights", At("other.csv")).AssertOk();
        Assert.Equal($"mystique fleet refresh {At("other")} --suite {At("suite")} --since 2026-11-01 -o suite-next",
            Next([3], ["fleet", "drift", At("other"), .. since]));
        Next("fleet", "refresh", At("fleet"), "--suite", At("suite"), "--since", "2026-11-01", "-o", At("later"), "--how", "weights");
        if (Python.HasTorch)
            Next("capture", "-o", At("job"), "--skip", "1", "--reference", "1", "--", Python.Executable, "-c",
                "import torch\nm = torch.nn.Linear(8, 8)\no = torch.optim.SGD(m.parameters(), 0.1)\n"
                + "for i in range(9): o.zero_grad(); m(torch.rand(8, 8)).sum().backward(); o.step()");

        // What a shell reads has no other lines, and a command of others is none itself.
        string[] others = ["completion", "fleet", "suite", .. Python.HasTorch ? (string[])[] : ["capture"]];
        Assert.Equal(Commands.Except(others).Order(StringComparer.Ordinal), _told.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("^(?:mystique: )?next: (?:mystique (?<command>.+)|python3 .+)$")]
    private static partial Regex NextLine();

    [GeneratedRegex(@"\e\[[?0-9;]*[a-zA-Z]|\e[=>]|\r")]
    private static partial Regex Escape();

    [GeneratedRegex("(?<= )--[a-z-]+(?= |$)")]
    private static partial Regex Option();
}
