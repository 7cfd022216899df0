using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;

namespace Mystique.Fleet.Catalogue;

/// <summary>
/// A catalogue's folder: <c>fleet.json</c>, and parts of rows, of operators and of files that were set aside. A part is written under a
/// temporary name and renamed when it is whole; none is ever changed. So a kill loses at most what was being added, and writers do not
/// wait for each other.
/// </summary>
internal sealed class FleetFolder
{
    private const string ManifestName = "fleet.json";
    private const string Format = "mystique-fleet";

    private FleetFolder(string path) => Path = path;

    /// <summary>The folder's path.</summary>
    public string Path { get; }

    /// <summary>Parts of rows, in the order of their names.</summary>
    public string[] Rows => Parts("rows", "*.parquet");

    /// <summary>Parts of operators, in the order of their names.</summary>
    public string[] Operators => Parts("operators", "*.parquet");

    /// <summary>Lists of files that were set aside, in the order of their names.</summary>
    public string[] Aside => Parts("aside", "*.json");

    /// <summary>Opens a catalogue.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="MystiqueException">There is none (MYS501), or one of another version (MYS502).</exception>
    public static FleetFolder Open(string path)
    {
        string manifest = System.IO.Path.Combine(path, ManifestName);
        if (!File.Exists(manifest))
            throw Problems.NoFleet(path);
        string version;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(manifest));
            version = document.RootElement.GetProperty("format").GetString() == Format
                ? document.RootElement.GetProperty("format_version").ToString() : "it is no catalogue's";
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException
            or IOException or UnauthorizedAccessException)
        {
            throw Problems.FleetDamaged(manifest, exception.Message);
        }
        return version == RowTable.Version.ToString(System.Globalization.CultureInfo.InvariantCulture) ? new FleetFolder(path)
            : throw Problems.FleetOfAnotherVersion(path, version);
    }

    /// <summary>Opens a catalogue, or makes an empty one.</summary>
    /// <param name="path">The folder; it need not be there.</param>
    /// <exception cref="MystiqueException">As <see cref="Open"/>; it cannot be made (MYS504).</exception>
    public static FleetFolder OpenOrCreate(string path)
    {
        string manifest = System.IO.Path.Combine(path, ManifestName);
        if (!File.Exists(manifest))
        {
            foreach (string kind in (string[])["rows", "operators", "aside"])
                Try(path, () => Directory.CreateDirectory(System.IO.Path.Combine(path, kind)));
            Place(manifest, temporary => File.WriteAllText(temporary,
                $"{{\n  \"format\": \"{Format}\",\n  \"format_version\": {RowTable.Version}\n}}\n"));
        }
        return Open(path);
    }

    /// <summary>Where a part lies.</summary>
    /// <param name="kind"><c>rows</c>, <c>operators</c> or <c>aside</c>.</param>
    /// <param name="name">The part's name.</param>
    public string PartAt(string kind, string name) =>
        System.IO.Path.Combine(Path, kind, name + (kind == "aside" ? ".json" : ".parquet"));

    /// <summary>Makes a file under a temporary name, and gives it its own when it is whole.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes it under the name that it is given.</param>
    /// <exception cref="MystiqueException">It cannot be written (MYS504); nothing of it is left then.</exception>
    public static void Place(string path, Action<string> write)
    {
        path = System.IO.Path.GetFullPath(path);
        string temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():n}.tmp";
        try
        {
            Try(path, () =>
            {
                Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
                write(temporary);
                using (var whole = new FileStream(temporary, FileMode.Open, FileAccess.ReadWrite))
                    whole.Flush(flushToDisk: true);
                File.Move(temporary, path, overwrite: true);
            });
        }
        finally
        {
            try
            {
                File.Delete(temporary);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Nothing reads it.
            }
        }
    }

    /// <summary>A name for a part of certain rows: the same rows have the same.</summary>
    public static string NameOf(IEnumerable<string> ids) =>
        "part-" + Benchmark.DigestOf(Encoding.UTF8.GetBytes(string.Join('\n',
            ids.Order(StringComparer.Ordinal))))[..24];

    private string[] Parts(string kind, string pattern)
    {
        string folder = System.IO.Path.Combine(Path, kind);
        return Directory.Exists(folder) ? [.. Directory.EnumerateFiles(folder, pattern).Order(StringComparer.Ordinal)] : [];
    }

    private static void Try(string path, Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or DuckDB.NET.Data.DuckDBException)
        {
            throw Problems.FleetUnwritable(path, exception);
        }
    }
}
