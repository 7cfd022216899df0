using System.Collections.Immutable;
using System.CommandLine;
using Mystique.Anonymising;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Files;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary>Options of commands whose output may be given to others (<c>docs/control.md</c>).</summary>
internal sealed record AnonymiseOptions(Option<bool> Anonymise, Option<bool> KeepTimes, Option<string[]> Keep)
{
    public static AnonymiseOptions Create() => new(
        new Option<bool>("--anonymise")
        {
            Description = "Give nothing away but the names of PyTorch's operators, shapes, types, numbers and structure",
        },
        new Option<bool>("--keep-times") { Description = "With --anonymise, keep when operators ran, as shares of an iteration" },
        new Option<string[]>("--keep")
        {
            Description = "With --anonymise, keep operators of libraries by name, for example 'fbgemm::*'; repeatable",
            HelpName = "GLOB",
            DefaultValueFactory = _ => [],
        });

    public void AddTo(Command command)
    {
        command.Add(Anonymise);
        command.Add(KeepTimes);
        command.Add(Keep);
        command.Validators.Add(result =>
        {
            if (!result.GetValue(Anonymise) && (result.GetValue(KeepTimes) || result.GetValue(Keep)!.Length > 0))
                result.AddError("--keep-times and --keep say what --anonymise leaves: name it, too.");
        });
    }

    /// <summary>What is to be hidden; null where nothing is.</summary>
    /// <exception cref="MystiqueException">It cannot be done safely here (MYS241).</exception>
    public AnonymisingOptions? Read(ParseResult result) => !result.GetValue(Anonymise) ? null
        : !FileDigest.HasSystem ? throw Problems.NoOpenSsl(Anonymise.Name)
        : new AnonymisingOptions { KeepTimes = result.GetValue(KeepTimes), Keep = [.. result.GetValue(Keep)!] };

    /// <summary>Hides it in all ranks of a job, and says what is left out.</summary>
    public static ImmutableArray<(int Rank, Recording Recording)> Apply(AnonymisingOptions options,
        ImmutableArray<(int Rank, Recording Recording)> recordings)
    {
        using var knowledge = new OperatorKnowledge(BundledParts.Default());
        var anonymiser = new Anonymiser(knowledge, options);
        ImmutableArray<(int, Recording)> hidden = [.. recordings.Select(r => (r.Rank, anonymiser.Apply(r.Recording)))];
        if (anonymiser.Counts is { Operators: > 0 } or { Texts: > 0 })
            Terminal.Warn([$"{Figures.Number(anonymiser.Counts.Operators)} operators have a number instead of a name, for this PyTorch "
                + $"does not know them (--keep leaves them), and {Figures.Number(anonymiser.Counts.Texts)} arguments that are texts of the "
                + "job's own are left out: what needs them does not run as recorded"]);
        return hidden;
    }
}
