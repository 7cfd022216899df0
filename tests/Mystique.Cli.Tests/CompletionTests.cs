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

    /// <summary>An interactive zsh on a terminal of its own: what it lists after a tab, or puts into the line.</summary>
    [Theory]
    [MemberData(nameof(Lines))]
    public void Zsh_Completes(string line, string offered, string other)
    {
        const string Driver =
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
        string[] output = Ask("zsh", ["-f", "-c", Driver, "zsh", Script("zsh"), InFolder(line)]);
        string[] words = [.. output.SelectMany(l =>
            Control().Replace(l, " ").Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries))
            .Select(w => w.TrimEnd('*'))]; // A star marks a program.
        // In a folder, zsh lists names without their folder.
        AssertOffers(words, offered.Replace("FOLDER/", "", StringComparison.Ordinal),
            other.Replace("FOLDER/", "", StringComparison.Ordinal),
            w => Path.GetFileName(w));
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
