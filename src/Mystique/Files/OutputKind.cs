using System.Text.Json;
using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>A kind of output that is a folder. Names are of files, as paths from the folder.</summary>
/// <param name="Manifest">The name of the file that says what the folder is: the first that goes, and the last that comes.</param>
/// <param name="Earlier">The names of the files of the output that a folder has; null where it has none of this kind.</param>
/// <param name="Expected">The names that an output in a folder is likely to have, as far as they are known before it is made.</param>
/// <param name="GoesBesideOthers">Whether what came into the folder since it was checked may stay there: a job's own files.</param>
/// <param name="Refuse">Says that a folder cannot be used, and because of what in it.</param>
internal sealed record OutputKind(
    string Manifest,
    Func<string, IReadOnlyCollection<string>?> Earlier,
    Func<string, IEnumerable<string>> Expected,
    bool GoesBesideOthers,
    Func<string, string, MystiqueException> Refuse)
{
    /// <summary>Reads a file that this program may have written: an object whose <c>format</c> says so.</summary>
    /// <param name="file">The file.</param>
    /// <param name="format">What its <c>format</c> must be.</param>
    /// <param name="maxBytes">The size from which on it is none.</param>
    /// <returns>The file's content; null where it is not there, cannot be read, or is somebody else's.</returns>
    public static JsonDocument? ReadOwn(string file, string format, long maxBytes)
    {
        JsonDocument? document = null;
        try
        {
            if (new FileInfo(file) is not { Exists: true } info || info.Length > maxBytes)
                return null;
            using var stream = File.OpenRead(file);
            document = JsonDocument.Parse(stream);
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("format", out var value)
                && value.ValueKind == JsonValueKind.String && value.ValueEquals(format))
                return document;
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            // Then it is not known to be ours.
        }
        document?.Dispose();
        return null;
    }

    /// <summary>Says beforehand that a document of a folder has no place: somebody else's file has its name.</summary>
    /// <param name="folder">The folder; it need not be there.</param>
    /// <param name="name">The document's name.</param>
    /// <param name="format">What the <c>format</c> of an earlier one is.</param>
    /// <param name="maxBytes">The size from which on it is none.</param>
    /// <exception cref="MystiqueException">It has none (MYS304).</exception>
    public static void CheckDocument(string folder, string name, string format, long maxBytes)
    {
        string document = Path.Combine(folder, name);
        using var own = ReadOwn(document, format, maxBytes);
        if (own is null && Path.Exists(document))
            throw Problems.OutputNotEmpty(folder, name);
    }

    /// <summary>The texts of a property of the objects in a list of an object.</summary>
    public static IEnumerable<string> TextsOf(JsonElement root, string list, string property)
    {
        if (!root.TryGetProperty(list, out var items) || items.ValueKind != JsonValueKind.Array)
            yield break;
        foreach (var item in items.EnumerateArray())
            if (item.ValueKind == JsonValueKind.Object && item.TryGetProperty(property, out var text)
                && text.ValueKind == JsonValueKind.String)
                yield return text.GetString()!;
    }
}
