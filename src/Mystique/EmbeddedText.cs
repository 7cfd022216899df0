using System.Reflection;

namespace Mystique;

/// <summary>
/// Text that comes along: tables, pages, and Python, whose source is in parts in the order in which data flows through it.
/// </summary>
internal static class EmbeddedText
{
    /// <summary>The folder of what the hook and <c>run.py</c> have in common.</summary>
    public const string SharedPython = "python/";

    /// <summary>The parts in folders of the resources, joined in the order of their own names.</summary>
    /// <param name="folders">For example <c>run/</c>; the name of a resource gives that one.</param>
    public static string Join(params ReadOnlySpan<string> folders)
    {
        string[] prefixes = [.. folders];
        var assembly = Assembly.GetExecutingAssembly();
        var parts = assembly.GetManifestResourceNames().Where(n => prefixes.Any(p => n.StartsWith(p, StringComparison.Ordinal)))
            .OrderBy(n => n[(n.IndexOf('/') + 1)..], StringComparer.Ordinal).Select(name =>
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            return reader.ReadToEnd().ReplaceLineEndings("\n");
        });
        return string.Join("\n\n", parts);
    }
}
