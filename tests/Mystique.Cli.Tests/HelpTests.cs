using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>The help of each command.</summary>
public sealed partial class HelpTests
{
    private const int Columns = 80;
    private const int FewOptions = 7;

    /// <summary>Options that all commands have.</summary>
    private static readonly string[] General = ["--help", "--help-all", "--quiet", "--verbose", "--version"];

    [Theory]
    [InlineData("--help", "help")]
    [InlineData("run --help", "help-run")]
    [InlineData("fleet add --help", "help-fleet-add")]
    [InlineData("run --help-all", "help-all-run")]
    public void Help_IsAsAccepted(string words, string snapshot)
    {
        var result = CommandLine.RunWith("MYSTIQUE_PYTHON", "", words.Split(' '));
        result.AssertOk();
        Assert.Equal("", result.Error);
        // The builds have different engines, and tell the default of --engine.
        Snapshot.Match(result.Output, snapshot + (words.StartsWith("run", StringComparison.Ordinal) && !CommandLine.HasLibTorch ? "-native"
            : ""));
    }

    /// <summary>
    /// About five options come first, all are in sections, no line is wider than a terminal of 80 columns, but those that a shell must
    /// have whole.
    /// </summary>
    [Fact]
    public void Help_OfAllCommands_HasFewOptionsFirst_AllInSections_AndFits()
    {
        string[] commands = [.. All([])];
        Assert.InRange(commands.Length, 25, 60);
        Assert.Contains("fleet add", commands);
        foreach (string name in commands)
        {
            string first = Help(name, "--help"), all = Help(name, "--help-all");
            Assert.DoesNotContain((first + all).Split('\n'),
                l => l.Length > Columns && !l.StartsWith("  mystique", StringComparison.Ordinal));
            string[] few = OptionsOf(first), every = OptionsOf(all);
            Assert.True(few.Length <= FewOptions, $"{name}: {few.Length} options come first");
            Assert.Subset(every.ToHashSet(), few.ToHashSet());
            Assert.Equal(every.Length, every.Distinct().Count());
            if (every.Length <= FewOptions)
                Assert.Equal(every.Order(), few.Order());
            else
                Assert.Contains($"\n{every.Length - few.Length} more options, in sections: mystique {name} --help-all\n", first);
            Assert.True(every.Length <= FewOptions || !all.Contains("\nOptions:\n", StringComparison.Ordinal),
                $"{name}: no section\n{all}");
        }
    }

    [Fact]
    public void Error_OfTheCommandLine_NamesTheHelpAndNotAllOfIt()
    {
        var result = CommandLine.Run("run");
        Assert.Equal(2, result.ExitCode);
        Assert.EndsWith("help: mystique run --help\n", result.Error);
        Assert.DoesNotContain("--iterations", result.Error);
        Assert.Equal("", result.Output);
        Assert.Matches(@"^[0-9]+\.[0-9]+\.[0-9]+.*\n$", CommandLine.Run("--version").Output);
    }

    /// <summary>Checks of options against each other come to options that have no value, and to those that have two.</summary>
    [Fact]
    public void Error_OfAnyOption_IsOneOfTheCommandLine()
    {
        foreach (string name in All([]))
        {
            string[] options = [.. OptionsOf(Help(name, "--help-all"))];
            if (options.Length == 0)
                continue;
            string[] several = [.. options.SelectMany(o => (string[])[$"{o}=", $"{o}=?", $"{o}=!"])];
            foreach (string[] line in (string[][])[[.. options, "--quiet=true", "--quiet=false"], ["a", "b", .. several]])
            {
                var result = CommandLine.Run([.. name.Split(' '), .. line]);
                Assert.True(result.ExitCode == 2, $"{name} {string.Join(' ', line)}: exit code {result.ExitCode}\n{result.Error}");
                Assert.EndsWith($"help: mystique {name} --help\n", result.Error);
                Assert.DoesNotContain("MYS999", result.Error);
            }
        }
    }

    /// <summary>All commands: those that have others in them as well, and these after them.</summary>
    internal static IEnumerable<string> All(string[] path)
    {
        string name = string.Join(' ', path);
        if (path.Length > 0)
            yield return name;
        var section = CommandSection().Match(Help(name, "--help"));
        foreach (Match command in section.Success ? CommandName().Matches(section.Value) : Enumerable.Empty<Match>())
            foreach (string inner in All([.. path, command.Groups[1].Value]))
                yield return inner;
    }

    internal static string Help(string name, string option)
    {
        var result = CommandLine.Run([.. name.Split(' ', StringSplitOptions.RemoveEmptyEntries), option]);
        result.AssertOk();
        return result.Output;
    }

    /// <summary>The options that a help has, without those of all commands.</summary>
    internal static string[] OptionsOf(string help) => [.. OptionName().Matches(help).Select(m => m.Groups[1].Value).Except(General)];

    [GeneratedRegex(@"^Commands:\n(  .*\n)+", RegexOptions.Multiline)]
    private static partial Regex CommandSection();

    [GeneratedRegex("^  ([a-z]+) ", RegexOptions.Multiline)]
    private static partial Regex CommandName();

    [GeneratedRegex(@"^  (?:-[a-z], )?(--[a-z-]+)(?: |\n)", RegexOptions.Multiline)]
    private static partial Regex OptionName();
}
