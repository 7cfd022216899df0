using System.CommandLine;
using System.Globalization;
using Mystique.Cli.Doctor;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Reporting;
using Mystique.Reporting.Documents;
using Spectre.Console;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique doctor</c>: what is on this machine, and what that allows.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var python = new Option<string[]>("--python")
        {
            Description = "A Python to look at; repeatable. Default: the one that --engine python takes",
            HelpName = "EXE",
            DefaultValueFactory = _ => [EngineOptions.DefaultPython],
        };
        SharedOptions.RefuseEmpty(python, "a program");
        var json = SharedOptions.Json();
        var command = new Command("doctor",
            """
            Looks at what is here: PyTorch of each Python, its observer and profiler, devices, compilers, launchers, hardware counters,
            temporary space; and says what that allows. What cannot be found out is said to be unknown. The exit code is 0 all the same.

            Example:
              mystique doctor --python /opt/venv/bin/python --json here.json
            """)
        { python, json };
        command.SetAction(async (result, cancellation) =>
        {
            Terminal.CheckFolder(result.GetValue(json));
            var here = await DoctorLook.LookAsync(result.GetValue(python)!.Distinct(), cancellation);
            if (result.GetValue(json) is { } file)
                Terminal.WriteFile(file, stream => DocumentContext.Write(here, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                Write(here);
            Terminal.Next("mystique demo");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static void Write(DoctorDocument here)
    {
        var table = Terminal.Table("what is here", "what").AddColumn("found");
        table.Row("mystique", here.Mystique);
        table.Row("machine", string.Create(CultureInfo.InvariantCulture,
            $"{here.Processor}, {here.LogicalProcessors} logical CPUs, {here.MemoryBytes / 1e9:0.0} GB, {here.System}"));
        table.Row("bundled libtorch", here.BundledLibtorch ?? "none");
        foreach (var python in here.Pythons)
            WritePython(table, python);
        foreach (var tool in here.Tools.Where(t => t.Path is not null))
            table.Row(tool.Name, tool.Path!);
        string missing = string.Join(", ", here.Tools.Where(t => t.Path is null).Select(t => t.Name));
        if (missing.Length > 0)
            table.Row("not in PATH", missing);
        table.Row("hardware counters", (here.NoCounters ?? "can be read")
            + (here.PerfEventParanoid is { } level ? $"; perf_event_paranoid {Figures.Number(level)}" : ""));
        table.Row("temporary folder", $"{here.TemporaryFolder}, "
            + (here.TemporaryFreeBytes is { } free ? $"{Figures.Megabytes(free)} free" : "free space unknown"));
        Terminal.Write(table);
        var able = Terminal.Table("what that allows", "what").AddColumn("").AddColumn("with what, or why not");
        foreach (var ability in here.Abilities)
            able.Row(ability.Name, Word(ability.Able), ability.Why);
        Terminal.Write(able);
    }

    private static void WritePython(Table table, DoctorPython python)
    {
        table.Row(python.Command, python.Executable is null
            ? python.Problem ?? "unknown" : $"Python {python.Version}, {python.Executable}");
        if (python.Torch is null)
        {
            if (python.Executable is not null)
                table.Row("  PyTorch", python.Problem ?? "unknown");
            return;
        }
        table.Row("  PyTorch", python.Torch + (python.Cuda is not null ? $", built for CUDA {python.Cuda}"
            : python.Hip is not null ? $", built for ROCm {python.Hip}" : ", built without CUDA and ROCm"));
        table.Row("  execution trace observer", Word(python.Observer));
        table.Row("  Kineto", Word(python.Kineto));
        table.Row("  devices", python.Devices is not { } devices ? "unknown" : devices.IsEmpty ? "the CPU alone"
            : string.Join("; ", devices.Select(d => $"{d.Kind} {d.Name ?? "unknown"}"
                + (d.MemoryBytes is { } bytes ? $", {Figures.Megabytes(bytes)}" : ""))));
        table.Row("  backends of process groups", python.Backends is not { } backends ? "unknown" : backends.IsEmpty ? "none"
            : string.Join(", ", backends));
        table.Row("  Triton", python.Triton ?? "none");
    }

    private static string Word(bool? value) => value switch { true => "yes", false => "no", null => "unknown" };
}
