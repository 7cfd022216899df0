using System.Reflection;

namespace Mystique;

/// <summary>Python that comes along: a file whose source is in parts, in the order in which data flows through it.</summary>
internal static class EmbeddedText
{
    /// <summary>The parts of a folder of the resources, joined in the order of their names.</summary>
    /// <param name="folder">For example <c>run/</c>.</param>
    public static string Join(string folder)
    {
        var assembly = Assembly.GetExecutingAssembly();
        var parts = assembly.GetManifestResourceNames().Where(n => n.StartsWith(folder, StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(name =>
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            return reader.ReadToEnd().ReplaceLineEndings("\n");
        });
        return string.Join("\n\n", parts);
    }
}
