using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Tests;

/// <summary>The Containerfile, as far as its text tells: no test makes the image.</summary>
public sealed partial class ContainerfileTests
{
    /// <summary>Of the instructions that there are, those that this file may have: ADD also unpacks, and reads from the network.</summary>
    private static readonly string[] Known =
        ["ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

    private static readonly (string Name, string Words)[] Instructions =
        [.. Continued().Replace(Comment().Replace(File.ReadAllText(Path.Combine(Repository.Root, "Containerfile")), ""), " ")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(l => l.Split(' ', 2))
            .Select(w => (w[0], w.Length > 1 ? w[1].Trim() : ""))];

    [Fact]
    public void Instructions_AreKnown_AndHaveSomething()
    {
        Assert.Equal("FROM", Instructions.First(i => i.Name != "ARG").Name);
        Assert.All(Instructions, i => Assert.Contains(i.Name, Known));
        Assert.All(Instructions, i => Assert.NotEqual("", i.Words));
        // Else a shell gets the signals.
        Assert.All(Instructions.Where(i => i.Name is "ENTRYPOINT" or "CMD"), i => Assert.Matches(@"^\[.*\]$", i.Words));
    }

    [Fact]
    public void Image_HasATag_AndTheCommandRunsAsAUserThatIsMade()
    {
        Assert.All(Instructions.Where(i => i.Name == "FROM"), i =>
            Assert.Matches("^[a-z0-9.]+/[a-z0-9/_-]+:(?!latest)[a-z0-9.-]+$", i.Words));
        string user = Instructions.Last(i => i.Name == "USER").Words;
        Assert.DoesNotContain(user, (string[])["root", "0"]);
        Assert.Contains(Instructions, i => i.Name == "RUN" && Regex.IsMatch(i.Words, $@"useradd\b[^&]* {user}( |$)"));
        Assert.DoesNotContain(Instructions.SkipWhile(i => i.Name != "USER"), i => i.Name == "RUN");
    }

    [Fact]
    public void Arguments_AreDeclared_AndTheDocumentSaysHowItIsMade()
    {
        string[] declared = [.. Instructions.Where(i => i.Name == "ARG").Select(i => i.Words.Split('=')[0])];
        Assert.All(Instructions.Where(i => i.Name == "COPY"), i =>
            Assert.All(Variable().Matches(i.Words), v => Assert.Contains(v.Groups[1].Value, declared)));
        string document = File.ReadAllText(Path.Combine(Repository.Root, "docs/install.md"));
        Assert.All(declared, a => Assert.Contains($"podman build --build-arg {a}=", document));
    }

    [GeneratedRegex("^#.*\n", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\\\n")]
    private static partial Regex Continued();

    [GeneratedRegex(@"\$\{?([A-Z_]+)\}?")]
    private static partial Regex Variable();
}
