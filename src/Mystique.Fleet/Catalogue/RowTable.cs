using System.Collections.Immutable;
using System.Text.Json;
using DuckDB.NET.Data;

namespace Mystique.Fleet.Catalogue;

/// <summary>Rows as columns of a table: names, DuckDB's types, and how a row is written and read.</summary>
internal static class RowTable
{
    /// <summary>The catalogue's version: another one is refused.</summary>
    public const int Version = 1;

    /// <summary>The columns, in order.</summary>
    public static IReadOnlyList<(string Name, string Type)> Columns { get; } = [.. All()];

    /// <summary>The statement that makes an empty table of rows.</summary>
    public static string Create(string table) => $"CREATE TABLE {table} ({string.Join(", ", Columns.Select(c => $"{c.Name} {c.Type}"))})";

    private static IEnumerable<(string, string)> All()
    {
        foreach (string column in (string[])["id", "path", "digest", "plan_digest", "job", "name", "phase", "device", "labels"])
            yield return (column, "VARCHAR");
        yield return ("size_bytes", "BIGINT");
        yield return ("changed_ticks", "BIGINT");
        yield return ("rank", "INTEGER");
        yield return ("ranks", "INTEGER");
        yield return ("date", "DATE");
        yield return ("weight", "DOUBLE");
        foreach (string kind in (string[])["flops", "bytes", "count"])
            foreach (string name in OperatorClasses.Names)
                yield return ($"{kind}_{name}", "DOUBLE");
        foreach (string name in PortableFeatures.TypeNames)
            yield return ($"bytes_of_{name}", "DOUBLE");
        foreach (string name in (string[])["intensity_p10", "intensity_p50", "intensity_p90"])
            yield return (name, "DOUBLE");
        foreach (string name in PortableFeatures.CallNames)
            yield return ($"call_bytes_{name}", "DOUBLE");
        foreach (string name in (string[])["unknown_flops", "calls", "group_size", "unique_operators"])
            yield return (name, "INTEGER");
        foreach (string name in (string[])["peak_bytes", "iteration_ns", "device_ns", "call_ns", "exposed_ns"])
            yield return (name, "BIGINT");
        yield return ("sketch", "UBIGINT[]");
    }

    /// <summary>Appends a row.</summary>
    public static void Append(DuckDBAppender appender, FleetRow row)
    {
        var to = appender.CreateRow();
        var (portable, machine) = (row.Portable, row.Machine);
        foreach (string text in (string[])[row.Id, row.Path, row.Digest, row.PlanDigest, row.Job, row.Name, row.Phase, row.Device,
            LabelsOf(row.Labels)])
            to.AppendValue(text);
        to.AppendValue((long?)row.Stamp.Bytes);
        to.AppendValue((long?)row.Stamp.Ticks);
        to.AppendValue((int?)row.Rank.Rank);
        to.AppendValue((int?)row.Rank.Ranks);
        to.AppendValue(row.Date);
        to.AppendValue(row.Weight);
        foreach (double value in (double[])[.. portable.Flops, .. portable.Bytes, .. portable.Counts, .. portable.TypeBytes,
            .. portable.Intensity, .. portable.CallBytes])
            to.AppendValue((double?)value);
        foreach (int value in (int[])[portable.UnknownFlops, portable.Calls, portable.GroupSize, portable.UniqueOperators])
            to.AppendValue((int?)value);
        foreach (long? value in (long?[])[portable.PeakBytes, machine.IterationNs, machine.DeviceNs, machine.CallNs, machine.ExposedNs])
            to.AppendValue(value);
        to.AppendValue((IEnumerable<ulong>)portable.Sketch);
        to.EndRow();
    }

    /// <summary>Reads the row that a reader of all columns is at.</summary>
    public static FleetRow Read(DuckDBDataReader reader)
    {
        int at = 0;
        string Text() => reader.GetString(at++);
        long Long() => reader.GetInt64(at++);
        int Int() => reader.GetInt32(at++);
        long? MaybeLong() => reader.IsDBNull(at++) ? null : reader.GetInt64(at - 1);
        ImmutableArray<double> Doubles(int count) => [.. Enumerable.Range(0, count).Select(_ => reader.GetDouble(at++))];
        string[] texts = [.. Enumerable.Range(0, 9).Select(_ => Text())];
        var stamp = (Long(), Long());
        var rank = (Int(), Int());
        DateOnly? date = reader.IsDBNull(at++) ? null : reader.GetFieldValue<DateOnly>(at - 1);
        double? weight = reader.IsDBNull(at++) ? null : reader.GetDouble(at - 1);
        int classes = OperatorClasses.Count;
        var (flops, bytes, counts) = (Doubles(classes), Doubles(classes), Doubles(classes));
        var (types, intensity, calls) = (Doubles(PortableFeatures.TypeNames.Count), Doubles(3), Doubles(PortableFeatures.CallNames.Count));
        var (unknown, count, group, unique) = (Int(), Int(), Int(), Int());
        long peak = Long();
        return new FleetRow
        {
            Id = texts[0],
            Path = texts[1],
            Digest = texts[2],
            PlanDigest = texts[3],
            Job = texts[4],
            Name = texts[5],
            Phase = texts[6],
            Device = texts[7],
            Labels = LabelsOf(texts[8]),
            Stamp = stamp,
            Rank = rank,
            Date = date,
            Weight = weight,
            Machine = new MachineFeatures
            {
                IterationNs = MaybeLong(),
                DeviceNs = MaybeLong(),
                CallNs = MaybeLong(),
                ExposedNs = MaybeLong(),
            },
            Portable = new PortableFeatures
            {
                Flops = flops,
                Bytes = bytes,
                Counts = counts,
                TypeBytes = types,
                Intensity = intensity,
                CallBytes = calls,
                UnknownFlops = unknown,
                Calls = count,
                GroupSize = group,
                UniqueOperators = unique,
                PeakBytes = peak,
                Sketch = [.. reader.GetFieldValue<List<ulong>>(at)],
            },
        };
    }

    /// <summary>Labels as JSON, by name.</summary>
    public static string LabelsOf(ImmutableSortedDictionary<string, string> labels) =>
        $"{{{string.Join(",", labels.Select(l => $"\"{JsonEncodedText.Encode(l.Key)}\":\"{JsonEncodedText.Encode(l.Value)}\""))}}}";

    /// <summary>Labels of JSON; none of what is none.</summary>
    public static ImmutableSortedDictionary<string, string> LabelsOf(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.EnumerateObject().ToImmutableSortedDictionary(p => p.Name, p => p.Value.ToString(),
                StringComparer.Ordinal);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            return ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
        }
    }
}
