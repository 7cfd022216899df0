using System.Collections.Immutable;
using System.CommandLine;
using Mystique.Cli.Bundled;
using Mystique.Files;

namespace Mystique.Cli.Commands;

/// <summary>The options that say what replays run on; a command has some of them.</summary>
/// <param name="Threads"><c>--threads</c>.</param>
/// <param name="Timeout"><c>--timeout</c>.</param>
internal sealed record EngineOptions(Option<int> Threads, Option<int> Timeout)
{
    private const string TorchSharp = "torchsharp";
    private const string Python = "python";
    private const string PythonVariable = "MYSTIQUE_PYTHON";

    /// <summary>The Python where none is named: the one that started this command, where one did.</summary>
    public static string DefaultPython => Environment.GetEnvironmentVariable(PythonVariable) is { Length: > 0 } python ? python : "python3";

    private Option<string>? Engine { get; init; }

    private Option<string>? PythonProgram { get; init; }

    private Option<string?>? LibTorch { get; init; }

    private Option<string>? Device { get; init; }

    private Option<string[]>? Libraries { get; init; }

    private Option<string>? Flags { get; init; }

    private Option<string[]>? Pins { get; init; }

    /// <summary>For a command whose engine is libtorch.</summary>
    public static EngineOptions OfTorchSharp() => new(
        SharedOptions.Count("--threads", 0, 0,
            "Threads within operators; 0: as many as the captured original had, else one per logical CPU"),
        SharedOptions.Count("--timeout", 1800, 1, "Seconds that the worker process may take for a request before it is stopped"));

    /// <summary>For a command that lets the user choose the engine.</summary>
    public static EngineOptions OfChoice()
    {
        var engine = new Option<string>("--engine")
        {
            Description = "torchsharp: the bundled libtorch; python: the PyTorch of a Python installation",
            HelpName = "torchsharp|python",
            DefaultValueFactory = _ => BundledParts.HasLibTorch ? TorchSharp : Python,
        };
        engine.AcceptOnlyFromAmong(TorchSharp, Python);
        return OfTorchSharp() with
        {
            Engine = engine,
            PythonProgram = CreatePython(),
            Device = CreateDevice("The device that takes the place of the recorded accelerators: cpu, cuda:1, xpu, …; by default, of "
                + "--engine python, the recorded kind where it is there"),
            Flags = CreateFlags(),
            Pins = CreatePins(),
        };
    }

    /// <summary>The same, for a command that lets the user choose everything.</summary>
    public static EngineOptions OfAll()
    {
        var libraries = new Option<string[]>("--load-library")
        {
            Description = "Load a library of operators before the replay; repeatable",
            HelpName = "FILE",
            DefaultValueFactory = _ => [],
        };
        libraries.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
                if (!File.Exists(token.Value))
                    result.AddError($"--load-library: there is no file {token.Value}.");
                else if (PlainFile.KindOf(token.Value) is { } kind) // To open a pipe waits for somebody to write.
                    result.AddError($"--load-library: {token.Value} is not a regular file: it is {kind}.");
        });
        return OfChoice() with
        {
            LibTorch = new Option<string?>("--libtorch")
            {
                Description = $"For --engine torchsharp, the folder of another libtorch {BundledParts.LibTorchVersion}, for example "
                    + "torch/lib of an installed PyTorch",
                HelpName = "DIR",
            },
            Libraries = libraries,
        };
    }

    /// <summary>For a command that replays jobs in a Python, and bundled workloads with libtorch.</summary>
    public static EngineOptions OfBoth() => OfTorchSharp() with
    {
        PythonProgram = CreatePython(),
        Device = CreateDevice($"The device of jobs and their replays: cpu, cuda:1, …; a job's command has it as {BenchList.Device}, or "
            + "chooses another"),
        Flags = CreateFlags(),
        Pins = CreatePins(),
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option?[])[Engine, PythonProgram, LibTorch, Device, Flags, Pins, Threads, Timeout, Libraries])
            if (option is not null)
                command.Add(option);
        if (Engine is { } engine && LibTorch is { } libTorch)
            command.Validators.Add(result =>
            {
                if (BundledParts.HasLibTorch && result.GetValue(engine) == Python && result.GetValue(libTorch) is not null)
                    result.AddError("--libtorch is for --engine torchsharp; --python names the PyTorch of --engine python.");
            });
    }

    /// <summary>Refuses what another option's file decides.</summary>
    public void RefuseBeside(Option<string?> file, Command command) => command.Validators.Add(result =>
    {
        if (result.GetValue(file) is null)
            return;
        foreach (var option in (Option?[])[PythonProgram, Device, Flags, Threads])
            if (option is not null && result.GetResult(option) is { Implicit: false })
                result.AddError($"{option.Name} is not for {file.Name}: its file has it for each platform.");
    });

    /// <summary>The engine that the user chose.</summary>
    /// <exception cref="Diagnostics.MystiqueException">It is libtorch, and this build has none (MYS240).</exception>
    public Engine Read(ParseResult result)
    {
        string? folder = LibTorch is null ? null : result.GetValue(LibTorch);
        bool isPython = Engine is null ? !BundledParts.HasLibTorch : result.GetValue(Engine) == Python;
        var engine = isPython && folder is null ? ReadPython(result) : OnTarget(ReadLibTorch(result, folder), result);
        return engine with { Libraries = Libraries is null ? [] : [.. result.GetValue(Libraries)!] };
    }

    /// <summary>libtorch, on the host, whatever the user chose.</summary>
    /// <param name="result">The command line.</param>
    /// <param name="folder">The folder of another libtorch than the one that is bundled.</param>
    /// <exception cref="Diagnostics.MystiqueException">This build has none (MYS240).</exception>
    public Engine ReadLibTorch(ParseResult result, string? folder = null) => BundledParts.LibTorch(folder) with
    {
        Threads = result.GetValue(Threads),
        Timeout = TimeSpan.FromSeconds(result.GetValue(Timeout)),
    };

    /// <summary>The Python for ranks that run together; the engine's default is that, too.</summary>
    /// <exception cref="Diagnostics.MystiqueException">The user chose libtorch (MYS439).</exception>
    public PythonEngine ReadForRanks(ParseResult result, string source) =>
        result.GetResult(Engine!) is { Implicit: false } && result.GetValue(Engine!) != Python
            ? throw Diagnostics.Problems.RanksNeedPython(source)
            : ReadPython(result) with { Libraries = Libraries is null ? [] : [.. result.GetValue(Libraries)!] };

    /// <summary>The Python, whatever the user chose.</summary>
    public PythonEngine ReadPython(ParseResult result) => OnTarget(new PythonEngine(result.GetValue(PythonProgram!)!)
    {
        Threads = result.GetValue(Threads),
        Timeout = TimeSpan.FromSeconds(result.GetValue(Timeout)),
    }, result);

    /// <summary>An engine on the device that the user chose, with the settings that he or she wants there.</summary>
    private T OnTarget<T>(T engine, ParseResult result)
        where T : Engine => (T)(engine with
        {
            Device = Device is null ? "" : result.GetValue(Device)!,
            KeepsSettings = Flags is not null && result.GetValue(Flags) == "target",
            Pins = Pins is null ? ImmutableSortedDictionary<string, string>.Empty : PinsOf(result.GetValue(Pins)!),
        });

    private static Option<string> CreatePython()
    {
        var python = new Option<string>("--python")
        {
            Description = "The Python interpreter of replays",
            HelpName = "EXE",
            DefaultValueFactory = _ => DefaultPython,
        };
        SharedOptions.RefuseEmpty(python, "a program");
        return python;
    }

    private static Option<string[]> CreatePins()
    {
        var pins = new Option<string[]>("--pin")
        {
            Description = "Decide a setting, whatever the original had and --flags says: attention=flash, =efficient, =math or =cudnn, or "
                + "a setting by its name in packages, for example cudnn_benchmark=true; repeatable",
            HelpName = "NAME=VALUE",
            DefaultValueFactory = _ => [],
        };
        pins.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
                if (token.Value.Split('=') is not [{ Length: > 0 } name, { Length: > 0 } value] || name == "attention"
                    && !Attention.ContainsKey(value))
                    result.AddError($"--pin: {token.Value} is no NAME=VALUE; attention is flash, efficient, math or cudnn.");
        });
        return pins;
    }

    /// <summary>What attention is done by, and the setting that allows it (<c>torch.nn.attention.SDPBackend</c>).</summary>
    private static readonly SortedDictionary<string, string> Attention = new(StringComparer.Ordinal)
    {
        ["flash"] = "flash_sdp",
        ["efficient"] = "mem_efficient_sdp",
        ["math"] = "math_sdp",
        ["cudnn"] = "cudnn_sdp",
    };

    private static ImmutableSortedDictionary<string, string> PinsOf(string[] pins)
    {
        var settings = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (string[] pin in pins.Select(p => p.Split('=')))
            if (pin[0] != "attention")
                settings[pin[0]] = pin[1];
            else
                foreach (var (word, setting) in Attention)
                    settings[setting] = word == pin[1] ? "true" : "false";
        return settings.ToImmutable();
    }

    private static Option<string> CreateFlags()
    {
        var flags = new Option<string>("--flags")
        {
            Description = "The settings of PyTorch that decide kernels (TF32, cuDNN's, …): recorded, as the original had them; "
                + "target, as they are",
            HelpName = "recorded|target",
            DefaultValueFactory = _ => "recorded",
        };
        flags.AcceptOnlyFromAmong("recorded", "target");
        return flags;
    }

    private static Option<string> CreateDevice(string description) => new("--device")
    {
        Description = description,
        HelpName = "D",
        DefaultValueFactory = _ => "",
    };
}
