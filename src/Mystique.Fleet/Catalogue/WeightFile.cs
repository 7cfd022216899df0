using System.Collections.Immutable;
using System.Globalization;
using DuckDB.NET.Data;
using Mystique.Diagnostics;

namespace Mystique.Fleet.Catalogue;

/// <summary>What a user's table says of a job.</summary>
/// <param name="Row">Its place in the file, from 1.</param>
/// <param name="Hours">Accelerator-hours.</param>
/// <param name="Date">The day; null where it does not say.</param>
/// <param name="Job">The job; null where it names a path alone.</param>
/// <param name="Labels">Other columns.</param>
internal sealed record JobWeight(long Row, double Hours, DateOnly? Date, string? Job, ImmutableSortedDictionary<string, string> Labels);

/// <summary>Weights of traces: CSV with a header, or Parquet.</summary>
internal sealed class WeightFile
{
    private static readonly string[] HourNames = ["accelerator_hours", "gpu_hours", "hours", "weight"];

    private readonly Dictionary<string, List<JobWeight>> _byPath = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<JobWeight>> _byJob = new(StringComparer.Ordinal);
    private readonly HashSet<long> _used = [];
    private readonly Dictionary<long, string> _names = [];
    private readonly string _file;

    private WeightFile(string file) => _file = file;

    /// <summary>Reads weights.</summary>
    /// <param name="file">The file.</param>
    /// <exception cref="MystiqueException">It cannot be read, or a row is invalid (MYS103, MYS506).</exception>
    public static WeightFile Read(string file)
    {
        var weights = new WeightFile(file);
        if (!File.Exists(file))
            throw Problems.TraceNotFound(file);
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        long row = 0;
        try
        {
            FleetDatabase.ReadTable(file, columns => weights.Add(++row, columns, folder));
        }
        catch (DuckDBException exception)
        {
            throw Problems.FleetWeightsInvalid(file, row, exception.Message.Split('\n')[0]);
        }
        return weights;
    }

    /// <summary>What the file says of a trace: by its path, else by its job. None where it says nothing.</summary>
    public IReadOnlyList<JobWeight> Of(string path, string job)
    {
        var found = _byPath.GetValueOrDefault(Path.GetFullPath(path)) ?? _byJob.GetValueOrDefault(job) ?? [];
        lock (_used)
            _used.UnionWith(found.Select(f => f.Row));
        return found;
    }

    /// <summary>Notes that a path is among those that are added, whether it can be read or not.</summary>
    public void See(string path)
    {
        var found = _byPath.GetValueOrDefault(Path.GetFullPath(path)) ?? [];
        lock (_used)
            _used.UnionWith(found.Select(f => f.Row));
    }

    /// <summary>Refuses rows that are of nothing.</summary>
    /// <param name="isKnown">Whether the catalogue has a path or a job already.</param>
    /// <exception cref="MystiqueException">There are some (MYS507).</exception>
    public void CheckUsed(Func<string, bool> isKnown)
    {
        string[] unused = [.. _names.Where(n => !_used.Contains(n.Key) && !isKnown(n.Value)).OrderBy(n => n.Key).Select(n => n.Value)];
        if (unused.Length > 0)
            throw Problems.FleetWeightsUnused(_file, unused.Length, unused[0]);
    }

    private void Add(long row, IReadOnlyDictionary<string, string?> columns, string folder)
    {
        MystiqueException Invalid(string why) => Problems.FleetWeightsInvalid(_file, row, why);
        string? path = columns.GetValueOrDefault("path"), job = columns.GetValueOrDefault("job");
        if (string.IsNullOrEmpty(path) && string.IsNullOrEmpty(job))
            throw Invalid("it has neither path nor job");
        string? column = Array.Find(HourNames, columns.ContainsKey);
        if (column is null)
            throw Invalid("there is no column accelerator_hours");
        if (!double.TryParse(columns[column], NumberStyles.Float, CultureInfo.InvariantCulture, out double hours) || !double.IsFinite(hours)
            || hours < 0)
            throw Invalid($"{column} is '{columns[column]}'");
        DateOnly? date = null;
        if (columns.GetValueOrDefault("date") is { Length: > 0 } day)
            date = DateOnly.TryParseExact(day.Split(' ', 'T')[0], "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None,
                out var found)
                ? found : throw Invalid($"date is '{day}'");
        var labels = columns.Where(c => c.Key is not ("path" or "job" or "date") && c.Key != column && c.Value is not null)
            .ToImmutableSortedDictionary(c => c.Key, c => c.Value!, StringComparer.Ordinal);
        var weight = new JobWeight(row, hours, date, string.IsNullOrEmpty(job) ? null : job, labels);
        var (index, key) = string.IsNullOrEmpty(path) ? (_byJob, job!) : (_byPath, Path.GetFullPath(path, folder));
        if (!index.TryGetValue(key, out var list))
            index.Add(key, list = []);
        list.Add(weight);
        _names[row] = key;
    }
}
