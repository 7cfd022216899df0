using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Serving;

/// <summary>
/// Profiles taken while a serving engine captured its graphs: vLLM's <c>capture_torch_profiler</c> and SGLang's
/// <c>--enable-profile-cuda-graph</c> write a folder <c>capture_traces</c> with <c>execution_details.json</c>.
/// </summary>
internal sealed partial class CaptureTraces
{
    /// <summary>The folder's name beside a step's profile.</summary>
    public const string FolderName = "capture_traces";

    private const string DetailsName = "execution_details.json";
    private const long MaxDetailsBytes = 16 << 20;

    private readonly string _folder;
    private readonly List<(string Path, long? Batch, string Mode)> _files;

    private CaptureTraces(string folder, List<(string, long?, string)> files) => (_folder, _files) = (folder, files);

    /// <summary>The folder beside a profile; null where there is none.</summary>
    public static CaptureTraces? Beside(string profile)
    {
        string folder = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(profile))!, FolderName);
        return Directory.Exists(folder) ? Open(folder) : null;
    }

    /// <summary>Opens a folder of capture traces; nothing is read yet but the list of them.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="MystiqueException">It is not there (MYS101), or has no profiles, or its list is damaged (MYS144).</exception>
    public static CaptureTraces Open(string folder)
    {
        if (!Directory.Exists(folder))
            throw Problems.TraceNotFound(folder);
        var listed = new Dictionary<string, (long? Batch, string Mode)>(StringComparer.Ordinal);
        string details = Path.Combine(folder, DetailsName);
        if (File.Exists(details))
            foreach (var (file, batch, mode) in ReadDetails(details))
                listed[Path.GetFileName(file)] = (batch, mode);
        var files = Directory.EnumerateFiles(folder, "*.json*").Where(f => Path.GetFileName(f) != DetailsName)
            .Order(StringComparer.Ordinal).Select(f => (f, listed.GetValueOrDefault(Path.GetFileName(f)).Batch,
                listed.GetValueOrDefault(Path.GetFileName(f)).Mode ?? "")).ToList();
        return files.Count == 0 ? throw Problems.CaptureTracesUnusable(folder, "it has no profiles") : new CaptureTraces(folder, files);
    }

    /// <summary>The captures of a rank; of all files where their names tell no ranks.</summary>
    /// <param name="rank">The rank; null takes the lowest.</param>
    /// <param name="notes">Files that cannot be read, or have no captures, and why.</param>
    public IReadOnlyList<GraphCapture> Of(int? rank, List<string> notes)
    {
        var ranks = _files.Select(f => RankFiles.RankIn(f.Path)).ToArray();
        int? taken = ranks.Contains(rank) ? rank : ranks.Where(r => r is not null).DefaultIfEmpty(null).Min();
        if (rank is { } wanted && taken is { } other && other != wanted)
            notes.Add(string.Create(CultureInfo.InvariantCulture,
                $"there are no capture traces of rank {wanted}: those of {other} are taken"));
        var captures = new List<GraphCapture>();
        for (int i = 0; i < _files.Count; i++)
        {
            if (taken is not null && ranks[i] != taken)
                continue;
            var (path, batch, mode) = _files[i];
            string name = Path.GetFileName(path);
            try
            {
                int before = captures.Count;
                captures.AddRange(In(KinetoReader.Read(path, keepsDetails: true), name, batch ?? BatchIn(name), mode));
                if (captures.Count == before)
                    notes.Add($"{name} has no captured graph whose batch is known");
            }
            catch (MystiqueException exception)
            {
                notes.Add($"{name}: {exception.What}");
            }
        }
        return captures;
    }

    /// <summary>The folder.</summary>
    public override string ToString() => _folder;

    /// <summary>Graphs by the label around their capture (<c>capture_32_FULL</c>), without one by what is known of the file.</summary>
    private static IEnumerable<GraphCapture> In(KinetoProfile profile, string name, long? batch, string mode)
    {
        var labels = profile.Events.Where(e => e.Kind == KinetoKind.Label && LabelPattern().IsMatch(e.Name)).ToArray();
        var byLabel = new Dictionary<string, List<CapturedGraph>>();
        foreach (var (at, graph) in CapturedGraph.In(profile))
        {
            string label = labels.FirstOrDefault(l => l.StartNs <= at && l.EndNs >= at).Name ?? "";
            if (!byLabel.TryGetValue(label, out var graphs))
                byLabel.Add(label, graphs = []);
            graphs.Add(graph);
        }
        foreach (var (label, graphs) in byLabel)
        {
            var match = LabelPattern().Match(label);
            long? of = match.Success && long.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture,
                out long size) ? size : batch;
            // SGLang's labels say the kind of step (DECODE), its list the mode.
            string kind = match.Success && match.Groups[2].Value is "FULL" or "PIECEWISE" ? match.Groups[2].Value : mode;
            if (of is { } known)
                yield return new GraphCapture(name, known, kind, graphs);
        }
    }

    private static IEnumerable<(string File, long? Batch, string Mode)> ReadDetails(string path)
    {
        JsonElement list;
        try
        {
            using var file = PlainFile.Open(path);
            if (file.Length > MaxDetailsBytes)
                throw Problems.CaptureTracesUnusable(path, "the list of captures is larger than 16 MiB");
            list = JsonElement.Parse(File.ReadAllBytes(path));
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw Problems.CaptureTracesUnusable(path, exception.Message);
        }
        if (list.ValueKind != JsonValueKind.Array)
            throw Problems.CaptureTracesUnusable(path, "it is no list of captures");
        foreach (var entry in list.EnumerateArray())
        {
            if (entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("file", out var file)
                && file.ValueKind == JsonValueKind.String)
                yield return (file.GetString()!, entry.TryGetProperty("batch_size", out var batch)
                    && batch.ValueKind == JsonValueKind.Number && batch.TryGetInt64(out long size) && size > 0 ? size : null,
                    entry.TryGetProperty("mode", out var mode) && mode.ValueKind == JsonValueKind.String ? mode.GetString()! : "");
        }
    }

    private static long? BatchIn(string name) => BatchPattern().Match(name) is { Success: true } match
        && long.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out long size) ? size : null;

    [GeneratedRegex("^capture_([0-9]+)_([A-Za-z]+)", RegexOptions.CultureInvariant)]
    private static partial Regex LabelPattern();

    [GeneratedRegex("bs_([0-9]+)", RegexOptions.CultureInvariant)]
    private static partial Regex BatchPattern();
}
