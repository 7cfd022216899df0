using System.Reflection;
using System.Text.Json;

namespace Mystique;

/// <summary>Text that is bundled: tables, pages, and the two Python scripts, whose source is in the folder <c>python</c>.</summary>
internal static class EmbeddedText
{
    private const string PythonFolder = "python/";

    /// <summary>The texts of resources, one after the other.</summary>
    /// <param name="names">For example <c>html/report.html</c>.</param>
    public static string Join(params ReadOnlySpan<string> names) => string.Join("\n\n", names.ToArray().Select(Read));

    /// <summary>A Python script: its parts, in the order of <c>python/parts.json</c>.</summary>
    /// <param name="script">For example <c>run.py</c>.</param>
    public static string JoinScript(string script)
    {
        using var parts = JsonDocument.Parse(Read(PythonFolder + "parts.json"));
        return Join([.. parts.RootElement.GetProperty(script).EnumerateArray().Select(p => PythonFolder + p.GetString())]);
    }

    private static string Read(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"the resource {name} is not in the assembly");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
