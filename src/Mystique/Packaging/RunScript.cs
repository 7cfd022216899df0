using Mystique.Packaging.TorchScript;
using Mystique.Planning;

namespace Mystique.Packaging;

/// <summary>
/// <c>run.py</c>, which goes into every package: it runs the package on the PyTorch that a Python has, without this
/// program. Its source is in parts, in the folder <c>python</c>.
/// </summary>
internal static class RunScript
{
    /// <summary>Its file in a package.</summary>
    public const string FileName = "run.py";

    private static readonly Lazy<string> Joined = new(() => EmbeddedText.JoinScript(FileName)
        // What it holds packages to is what the command holds them to.
        .Replace("@@OperatorPolicy.txt@@", OperatorPolicy.Text, StringComparison.Ordinal)
        .Replace("@@ManifestRules.json@@", ManifestRules.Text, StringComparison.Ordinal)
        .Replace("@@Prologue@@", ProgramGenerator.Prologue, StringComparison.Ordinal)
        .Replace("@@PickledState@@", Convert.ToHexStringLower(TorchScriptArchive.PickleState()), StringComparison.Ordinal));

    /// <summary>The whole file.</summary>
    public static string Text => Joined.Value;
}
