using System.Reflection;

namespace Mystique;

/// <summary>Text that comes along: tables, pages, and Python, whose source is in parts in the order in which data flows through it.</summary>
internal static class EmbeddedText
{
    /// <summary>The parts of a folder of the resources, joined in the order of their names.</summary>
    /// <param name="folder">For example <c>run/</c>; the name of a resource gives that one.</param>
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
