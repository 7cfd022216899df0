using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What the tables of values and of substitutions have in common.</summary>
internal static class TableText
{
    /// <summary>No table that people write is larger.</summary>
    private const int MaxBytes = 1 << 20;

    /// <summary>Reads a user's table.</summary>
    /// <exception cref="MystiqueException">It cannot be read (MYS204).</exception>
    public static string ReadFile(string path)
    {
        try
        {
            using var reader = new StreamReader(new MemoryStream(PlainFile.ReadAllBytes(path, MaxBytes)));
            return reader.ReadToEnd();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.TableUnreadable(path, exception);
        }
    }

    /// <summary>A line without what follows a <c>#</c>.</summary>
    public static string WithoutComment(string line)
    {
        int at = line.IndexOf('#');
        return (at < 0 ? line : line[..at]).TrimEnd();
    }

    /// <summary>Whether a text is <c>namespace::name</c> or <c>namespace::name.overload</c>.</summary>
    public static bool IsOperatorName(string text)
    {
        string[] parts = text.Split("::");
        return parts.Length == 2 && SchemaParser.IsIdentifier(parts[0])
            && parts[1].Split('.') is { Length: 1 or 2 } names && names.All(n => SchemaParser.IsIdentifier(n));
    }
}
