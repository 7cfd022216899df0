using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Selection;

namespace Mystique.Cli.Commands;

/// <summary>Options that several commands have.</summary>
internal static class SharedOptions
{
    public static Option<string?> Json() => new("--json")
    {
        Description = "Write the result as JSON into FILE (docs/result-format.md); - is standard output",
        HelpName = "FILE",
    };

    public static Argument<string> Trace() => new("TRACE|CAPTURE")
    {
        Description = "An execution trace (.json or .json.gz; - is standard input), a Kineto profile with shapes, or a capture folder",
    };

    public static Option<bool> GpuMetrics() => new("--gpu-metrics")
    {
        Description = "Sample the machine's GPUs during the measurement, with the vendor's tools: utilisation, memory, power, clocks",
    };

    public static Option<string> Pace()
    {
        var pace = new Option<string>("--pace")
        {
            Description = "none: unpaced; recorded: wait between calls, so that an iteration takes as long as the original's: the time "
                + "that the replay lacks is shared out over the original's gaps (generate --profile or --reference-time)",
            HelpName = "none|recorded",
            DefaultValueFactory = _ => "none"
        };
        pace.AcceptOnlyFromAmong("none", "recorded");
        return pace;
    }

    public static ReplayPace PaceOf(string? pace) => pace == "recorded" ? ReplayPace.Recorded : ReplayPace.None;

    public static Option<string> Level()
    {
        var level = new Option<string>("--level")
        {
            Description = "What is replayed. operator: the recorded operators, backward passes among them; framework: the operators that "
                + "the job called, and the target's autograd makes the backward passes; auto: operator on the recorded version of PyTorch "
                + "and kind of device, and where these are not known; framework elsewhere",
            HelpName = "operator|framework|auto",
            DefaultValueFactory = _ => "auto",
        };
        level.AcceptOnlyFromAmong("operator", "framework", "auto");
        return level;
    }

    public static ReplayLevel? LevelOf(string? level) => Enum.TryParse<ReplayLevel>(level, ignoreCase: true, out var found) ? found : null;

    public static Option<bool> StrictTrace() => new("--strict")
    {
        Description = "Refuse a damaged trace instead of reading its valid part",
    };

    public static Option<string?> CaptureTraces() => new("--capture-traces")
    {
        Description = "Of a serving engine's profile, the folder of the profiles that it took while it captured its graphs. Default: "
            + "capture_traces beside the profile, where there is one",
        HelpName = "DIR",
    };

    public static Option<string?> Iteration()
    {
        var option = new Option<string?>("--iteration")
        {
            Description = "The iteration: N of ProfilerStep#N, or all; of a serving engine's profile, the step's place from 0. Default: "
                + "the first that the trace marks, of a profile alone that of the median time",
            HelpName = "N|all",
        };
        option.Validators.Add(result =>
        {
            string? text = result.GetValueOrDefault<string?>();
            if (text is not (null or "all") && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                result.AddError($"--iteration takes a number or all, not '{text}'.");
        });
        return option;
    }

    public static Option<int> Count(string name, int value, int minimum, string description)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => value };
        option.Validators.Add(result => CheckMinimum(result, name, minimum));
        return option;
    }

    public static Option<int?> OptionalCount(string name, int minimum, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result => CheckMinimum(result, name, minimum));
        return option;
    }

    public static Option<int?> BlockIterations() =>
        OptionalCount("--iterations", 0,
            "Iterations to measure in each block; by default, and for 0, as many as fit into 0.2 s, at least one");

    public static SelectionOptions SelectionOf(string? iteration) => iteration switch
    {
        null => new SelectionOptions(),
        "all" => new SelectionOptions(AllIterations: true),
        _ => new SelectionOptions(long.Parse(iteration, CultureInfo.InvariantCulture)),
    };

    /// <summary>The options that take a part of an iteration.</summary>
    internal sealed record Part(Option<string?> Select, Option<string?> Without)
    {
        public static Part Create() => new(
            new Option<string?>("--select")
            {
                Description = "Take these operators alone, for example 'label:*attention* and not phase:backward' (docs/control.md)",
                HelpName = "WHAT",
            },
            new Option<string?>("--without") { Description = "Leave these operators, in the same words", HelpName = "WHAT" });

        public void AddTo(Command command)
        {
            command.Add(Select);
            command.Add(Without);
        }

        public BenchmarkOptions Read(ParseResult result, BenchmarkOptions options) => options with
        {
            Select = result.GetValue(Select),
            Without = result.GetValue(Without),
        };
    }

    private static void CheckMinimum(OptionResult result, string name, int minimum)
    {
        if (result.Tokens.Count == 0)
            return;
        if (!int.TryParse(result.Tokens[^1].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)
            || value < minimum)
            result.AddError($"{name} takes a whole number from {minimum} on, not '{result.Tokens[^1].Value}'.");
    }

    /// <summary>Refuses a name of nothing, as a script's unset variable gives it.</summary>
    /// <param name="option">An option that takes a name.</param>
    /// <param name="what">What it names.</param>
    public static void RefuseEmpty(Option option, string what) => option.Validators.Add(result =>
    {
        if (result.Tokens.Any(t => string.IsNullOrWhiteSpace(t.Value)))
            result.AddError($"{option.Name} takes the name of {what}, and this one is empty.");
    });

    /// <summary>Refuses what is no number of a range.</summary>
    /// <param name="option">An option that takes a number.</param>
    /// <param name="what">The range in words.</param>
    /// <param name="isOf">Whether a number is of it.</param>
    public static void Hold(Option option, string what, Func<double, bool> isOf) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && !(double.TryParse(token.Value, CultureInfo.InvariantCulture, out double value) && isOf(value)))
            result.AddError($"{option.Name} takes {what}, not '{token.Value}'.");
    });

    /// <summary>The options of a plan.</summary>
    internal sealed record Planning(Option<double> IndexSkew, Option<string?> Values, Option<string?> Substitutions,
        Option<double?> ScaleMemory, Option<double?> ReferenceTime, Option<bool> AllowTraceCode, Option<string?> Drop,
        Option<string?> Dtype)
    {
        public static Planning Create()
        {
            var skew = new Option<double>("--index-skew")
            {
                Description = "Draw indices by Zipf's law with the exponent S instead of evenly: the larger S, the fewer rows of a table "
                    + "get most lookups",
                HelpName = "S",
            };
            Hold(skew, "a number from 0 to 10", value => value is >= 0 and <= 10);
            var scale = new Option<double?>("--scale-memory")
            {
                Description = "Shrink embedding tables until the plan fits into GB gigabytes; without GB, into this machine's memory",
                HelpName = "GB",
                Arity = ArgumentArity.ZeroOrOne,
                CustomParser = result => result.Tokens is not [var token] ? 0
                    : double.TryParse(token.Value, CultureInfo.InvariantCulture, out double value) && value > 0 ? value
                        : Refuse(result, token.Value),
            };
            var reference = new Option<double?>("--reference-time")
            {
                Description =
                "The time of an uninstrumented iteration of the original, in milliseconds: the target of --pace recorded",
                HelpName = "MS"
            };
            Hold(reference, "a number of milliseconds above 0", value => value is > 0 and < 1e9);
            return new Planning(skew,
                new Option<string?>("--values")
                {
                    Description =
                    "A table of the contents of tensors, in addition to the bundled one (docs/values.md)",
                    HelpName = "FILE"
                },
                new Option<string?>("--substitutions")
                {
                    Description =
                    "A table of substitutes for operators, in addition to the bundled one (docs/values.md)",
                    HelpName =
                    "FILE"
                },
                scale, reference,
                new Option<bool>("--allow-trace-code")
                {
                    Description =
                    "Package, and with --engine python run, code that came with the trace: the sources of Triton kernels"
                },
                new Option<string?>("--drop")
                {
                    Description = "What if these operators took no time: leave them out, and have their results from the start, "
                        + "for example 'op:aten::*dropout*' (docs/control.md)",
                    HelpName = "WHAT",
                },
                new Option<string?>("--dtype")
                {
                    Description = "What if these operators computed in another type: 'op:aten::mm=bfloat16' (docs/control.md)",
                    HelpName = "WHAT=TYPE",
                });

            static double? Refuse(ArgumentResult result, string text)
            {
                result.AddError($"--scale-memory takes a number of gigabytes above 0, not '{text}'.");
                return null;
            }
        }

        public void AddTo(Command command)
        {
            command.Add(IndexSkew);
            command.Add(Values);
            command.Add(Substitutions);
            command.Add(ScaleMemory);
            command.Add(ReferenceTime);
            command.Add(AllowTraceCode);
            command.Add(Drop);
            command.Add(Dtype);
        }

        /// <summary>The time of an iteration of the original, in nanoseconds; null where the user gives none.</summary>
        public long? ReadIterationNs(ParseResult result) =>
            result.GetValue(ReferenceTime) is { } milliseconds ? (long)(milliseconds * 1e6) : null;

        public PlanningOptions Read(ParseResult result)
        {
            // What is there is what the system says, less a tenth for what is not the plan's.
            double? limit = result.GetResult(ScaleMemory) is { Implicit: false } ? result.GetValue(ScaleMemory) : null;
            return new PlanningOptions
            {
                IndexSkew = result.GetValue(IndexSkew),
                Values = result.GetValue(Values) is { } values ? ValueTable.ReadFile(values) : ValueTable.BuiltIn,
                Substitutions = result.GetValue(Substitutions) is { } table ? SubstitutionTable.ReadFile(table) : SubstitutionTable.BuiltIn,
                AllowTraceCode = result.GetValue(AllowTraceCode),
                Drop = result.GetValue(Drop),
                Dtype = result.GetValue(Dtype) is { } type ? DtypeChange.Parse(type) : null,
                MemoryLimitBytes = limit switch
                {
                    null => null,
                    0 => MemoryProbe.AvailableBytes() * 9 / 10,
                    var gigabytes =>
                    (long)(gigabytes * 1e9)
                },
            };
        }
    }

    /// <summary>The options of a replay.</summary>
    internal sealed record Replay(Option<int?> Iterations, Option<int?> Warmup, Option<string> Level)
    {
        public static Replay Create(bool inBlocks = false) => new(
            inBlocks ? BlockIterations() : OptionalCount("--iterations", 1,
                "Iterations to measure; by default 20, on an accelerator at least a second's worth"),
            OptionalCount("--warmup", 0,
                "Warm-up iterations, which are not measured; by default 3, on an accelerator until times are steady"),
            SharedOptions.Level());

        public ReplayOptions Read(ParseResult result) => new()
        {
            Iterations = result.GetValue(Iterations),
            Warmup = result.GetValue(Warmup),
            Level = LevelOf(result.GetValue(Level)),
        };
    }
}
