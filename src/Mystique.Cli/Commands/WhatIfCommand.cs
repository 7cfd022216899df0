using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique whatif</c>: what a change would do to a job's time.</summary>
internal static class WhatIfCommand
{
    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var iteration = SharedOptions.Iteration();
        var speed = new Option<string?>("--speed")
        {
            Description = "Operators that take another time: 'op:aten::mm=2x' for half, '=0.5x' for twice the time; on the host",
            HelpName = "SELECTION=FACTORx",
        };
        var rounds = SharedOptions.Count("--rounds", 15, 2, "Rounds, in each of which both are measured");
        var replay = SharedOptions.Replay.Create();
        var part = SharedOptions.Part.Create();
        var planning = SharedOptions.Planning.Create();
        var engines = EngineOptions.OfChoice();
        var command = new Command("whatif",
            """
            Measures the benchmark of a trace, and the same with a change, in turns: operators that take no time (--drop) or
            another time (--speed), in another type (--dtype), or others in their places (--substitutions). Says by how much the
            change moves the time, with an interval, and how much of it the operators' own times explain.

            Example:
              mystique whatif job --drop 'op:aten::*dropout*'
              mystique whatif job --speed 'op:aten::addmm or op:aten::mm=2x'
              mystique whatif job --drop 'label:*attention*' --engine python --device cuda:0
            """)
        { trace, iteration, speed, rounds, replay.Iterations, replay.Warmup };
        part.AddTo(command);
        planning.AddTo(command);
        engines.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            var factor = result.GetValue(speed) is { } text ? SpeedChange.Parse(text) : null;
            await using var engine = engines.Read(result);
            var plans = planning.Read(result);
            var changedPlans = factor?.Drop is not { } faster ? plans
                : plans with { Drop = plans.Drop is { } others ? $"({others}) or ({faster})" : faster };
            var unchangedPlans = plans with { Drop = null, Dtype = null, Substitutions = Planning.SubstitutionTable.BuiltIn };
            var recording = Inputs.Open(result.GetValue(trace)!, new RecordingOptions
            {
                Iteration = Inputs.NumberOf(result.GetValue(iteration)),
            }, engine);
            Benchmark Made(Planning.PlanningOptions options) => Benchmark.Create(recording, part.Read(result,
                Inputs.OptionsOf(result.GetValue(iteration), options)));
            var measured = await WhatIfRunner.RunAsync(Made(unchangedPlans), Made(changedPlans), engine, replay.Read(result),
                result.GetValue(rounds), factor, cancellation);
            var table = Terminal.Table($"what if, of {recording.Name}", "measure", "value");
            table.Row("iteration, unchanged", Terminal.Milliseconds(measured.UnchangedNs));
            table.Row("iteration, changed", Terminal.Milliseconds(measured.ChangedNs));
            table.Row("difference", $"{Figures.Difference(measured.Change.Error)} ({Figures.Difference(measured.Change.Low)} to "
                + $"{Figures.Difference(measured.Change.High)})");
            table.Row("operators that are left out, run otherwise, or take another time", Figures.Number(measured.ChangedOperators));
            table.Row("their share of the time of operators, each alone", Figures.Percent(measured.ExplainedShare));
            Terminal.Write(table);
            // A wait is of this measurement alone; all other changes can be handed on.
            string path = Terminal.Quote(result.GetValue(trace)!);
            string Given(params Option<string?>[] options) => string.Concat(options.Where(o => result.GetValue(o) is not null)
                .Select(o => $" {o.Name} {Terminal.Quote(result.GetValue(o)!)}"));
            Terminal.Next(factor is not null ? $"mystique inspect {path} --select {Terminal.Quote(factor.Select)}{Given(iteration)}"
                : $"mystique generate {path} -o changed.bench"
                    + Given(iteration, part.Select, part.Without, planning.Drop, planning.Dtype, planning.Substitutions));
            return (int)ExitCode.Done;
        });
        return command;
    }
}
