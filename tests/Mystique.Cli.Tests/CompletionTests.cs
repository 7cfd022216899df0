using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;

namespace Mystique.Cli.Tests;

/// <summary>The completion scripts, loaded in the shells that they are for.</summary>
[UnsupportedOSPlatform("windows")]
public sealed partial class CompletionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>An interactive zsh on a terminal of its own: it gets a line and a tab.</summary>
    private const string Zsh =
        """
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z "PS1=; stty cols 400 rows 200; autoload -Uz compinit; compinit -u -D; source ${(q)1}"
        zpty -w z 'zstyle ":completion:*" list-grouped false; LISTMAX=0; setopt no_list_ambiguous no_always_last_prompt; print RE""ADY'
        zpty -r -m z text '*READY*'
        zpty -w -n z "$2"$'\t\C-a# \C-m'
        zpty -w z 'print DO""NE'
        zpty -r -m z text '*DONE*'
        print -r -- "$text"
        """;

    /// <summary>Of each line, up to where the cursor stands, words that must be offered, and one that must not.</summary>
    public static TheoryData<string, string, string> Lines => new()
    {
        { "mystique in", "inspect", "generate" },
        { "mystique ", "capture run fleet completion doctor", "--json" },
        { "mystique run --eng", "--engine", "--json" },
        { "mystique run --engine ", "torchsharp python", "--json" },
        { "mystique run job --waits ", "recorded none constant", "Recorded" },
        { "mystique run --he", "--help --help-all", "--json" },
        { "mystique fleet ", "add show suite", "capture" },
        { "mystique fleet add --launcher s", "slurm", "local" },
        { "mystique fleet suite --b", "--budget", "--launcher" },
        { "mystique demo g", "gpt", "resnet18" },
        { "mystique completion ", "bash zsh fish", "run" },
        { "mystique inspect FOLDER/tr", "FOLDER/trace.json", "FOLDER/other.json" },
        { "mystique run x --json FOLDER/ot", "FOLDER/other.json", "FOLDER/trace.json" },
        { "mystique capture -o FOLDER/x -- FOLDER/trai", "FOLDER/train", "run" },
    };

    [Theory]
    [MemberData(nameof(Lines))]
    public void Bash_Completes(string line, string offered, string other)
    {
        const string Driver =
            """
            source "$1"
            COMP_LINE=$2
            read -ra COMP_WORDS <<< "$COMP_LINE"
            [[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            complete -p mystique >&2
            _mystique
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        AssertOffers(Ask("bash", ["--norc", "-c", Driver, "bash", Script("bash"), InFolder(line)]), offered, other);
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public void Fish_Completes(string line, string offered, string other)
    {
        string[] words = Ask("fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", Script("fish"), InFolder(line)]);
        AssertOffers([.. words.Select(w => w.Split('\t')[0])], offered, other);
    }

    /// <summary>What an interactive zsh lists after a tab, or puts into the line.</summary>
    [Theory]
    [MemberData(nameof(Lines))]
    public void Zsh_Completes(string line, string offered, string other)
    {
        string[] output = Ask("zsh", ["-f", "-c", Zsh, "zsh", Script("zsh"), InFolder(line)]);
        string[] words = [.. output.SelectMany(l =>
            Control().Replace(l, " ").Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries))
            .Select(w => w.TrimEnd('*'))]; // A star marks a program.
        // In a folder, zsh lists names without their folder.
        AssertOffers(words, offered.Replace("FOLDER/", "", StringComparison.Ordinal),
            other.Replace("FOLDER/", "", StringComparison.Ordinal),
            w => Path.GetFileName(w));
    }

    /// <summary>Names that a shell splits and expands unless it is told not to, of options, of arguments and of a job.</summary>
    [Theory]
    [InlineData("inspect", "FOLDER/my", "my file.json")]
    [InlineData("inspect", "FOLDER/[", "[ot]*.json")]
    [InlineData("run x --json", "FOLDER/my", "my file.json")]
    [InlineData("generate x -o", "FOLDER/a", "a folder")]
    [InlineData("capture -o x -- cat", "FOLDER/my", "my file.json")]
    [InlineData("capture -o x -- cat 'FOLDER/my file.json'", "FOLDER/my", "my file.json")]
    public void Names_WithSpacesAndStars_AreOfferedWhole(string before, string word, string name)
    {
        File.WriteAllText(Path.Combine(_folder, "my file.json"), "");
        File.WriteAllText(Path.Combine(_folder, "[ot]*.json"), ""); // As a pattern it is other.json and trace.json.
        Directory.CreateDirectory(Path.Combine(_folder, "a folder"));
        const string Driver =
            """
            source "$1"
            eval "COMP_WORDS=(mystique $2)"
            COMP_WORDS+=("$3")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _mystique
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        string whole = Path.Combine(_folder, name);
        Assert.Equal([whole], Ask("bash", ["--norc", "-c", Driver, "bash", Script("bash"), InFolder(before), InFolder(word)]));
        string line = $"mystique {InFolder(before)} {(word.EndsWith('[') ? InFolder(word).Replace("[", "\\[", StringComparison.Ordinal)
            : InFolder(word))}";
        string[] offered = Ask("fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", Script("fish"), line]);
        Assert.Equal([whole], offered.Select(w => w.Split('\t')[0].TrimEnd('/')));
        // zsh puts the only one into the line, quoted.
        string typed = name.Replace(" ", "\\ ", StringComparison.Ordinal).Replace("[", "\\[", StringComparison.Ordinal)
            .Replace("]", "\\]", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal);
        Assert.Contains(typed, string.Join('\n', Ask("zsh", ["-f", "-c", Zsh, "zsh", Script("zsh"), line])));
    }

    [Fact]
    public void Shell_ThatIsUnknown_IsRefused()
    {
        var result = CommandLine.Run("completion", "tcsh");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("'tcsh' not recognized", result.Error);
    }

    /// <summary>What moves the cursor, clears, or colours.</summary>
    [GeneratedRegex(@"\e\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Control();

    private void AssertOffers(string[] words, string offered, string other, Func<string, string>? name = null)
    {
        string[] found = [.. words.Select(w => (name ?? (n => n))(w.Trim()))];
        foreach (string word in InFolder(offered).Split(' '))
            Assert.True(found.Contains(word), $"{word} is not among {string.Join(' ', found)}");
        Assert.DoesNotContain(InFolder(other), found);
    }

    private string InFolder(string text) => text.Replace("FOLDER", _folder, StringComparison.Ordinal);

    private string Script(string shell)
    {
        File.WriteAllText(Path.Combine(_folder, "trace.json"), "");
        File.WriteAllText(Path.Combine(_folder, "other.json"), "");
        File.WriteAllText(Path.Combine(_folder, "train"), "");
        File.SetUnixFileMode(Path.Combine(_folder, "train"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var result = CommandLine.Run("completion", shell);
        result.AssertOk();
        string path = Path.Combine(_folder, $"completion.{shell}");
        File.WriteAllText(path, result.Output);
        return path;
    }

    private static string[] Ask(string shell, string[] arguments)
    {
        string program = $"/usr/bin/{shell}";
        Assert.SkipUnless(File.Exists(program), $"needs {program} (Debian: {shell})");
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{error.Result}\n{output}");
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
