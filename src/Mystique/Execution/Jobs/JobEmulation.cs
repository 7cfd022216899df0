using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Packaging.Jobs;
using Mystique.Traces;

namespace Mystique.Execution.Jobs;

/// <summary>What calls with ranks that are not there wait for.</summary>
internal enum EmulatedWaits
{
    /// <summary>Each as long as it took in the original, or as a model has it.</summary>
    Recorded,

    /// <summary>Nothing: as if communication took no time.</summary>
    None,

    /// <summary>Each as long as all of them take in the mean: the control that others' replays have (PARAM's <c>--delay</c>).</summary>
    Constant,
}

/// <summary>
/// How long the calls of ranks take whose groups have members that are not there: as long as in the original, or as the model has it for
/// groups of another size. A call takes its transfer, and what this rank waits for later ones: their difference in the original, which is
/// put in proportion, for ranks of an instrumented iteration differ by more.
/// </summary>
internal sealed record JobEmulation
{
    /// <summary>The ranks that run, rising.</summary>
    public required ImmutableArray<int> Present { get; init; }

    /// <summary>By rank and node, how long the call takes from its start on, in nanoseconds.</summary>
    public required ImmutableSortedDictionary<int, ImmutableSortedDictionary<long, long>> Calls { get; init; }

    /// <summary>
    /// Whether calls of a group wait for each other. Times of kernels are without that; a label of Gloo's begins where the call is made,
    /// and has the time in which it waited for others.
    /// </summary>
    public required bool Queues { get; init; }

    /// <summary>How many ranks the emulated job has.</summary>
    public required int WorldSize { get; init; }

    /// <summary>Calls whose time is the recorded one's.</summary>
    public required int FromRecording { get; init; }

    /// <summary>Calls whose time a model says.</summary>
    public required int FromModel { get; init; }

    /// <summary>By how much the model may be off, as shares of a transfer: the 5th and the 95th percentile; null for none.</summary>
    public (double Low, double High)? Interval { get; init; }

    /// <summary>Plans it.</summary>
    /// <param name="job">The job.</param>
    /// <param name="present">How many ranks run, from 1.</param>
    /// <param name="worldSize">How many ranks the emulated job has; null for as many as the job.</param>
    /// <param name="network">The network, for calls whose times nothing else tells; null for none.</param>
    /// <param name="seed">The seed of what is drawn.</param>
    /// <exception cref="MystiqueException">Nothing tells how long a call takes (MYS137).</exception>
    public static JobEmulation Plan(JobBenchmark job, int present, int? worldSize, NetworkModel? network, uint seed)
    {
        int world = worldSize ?? job.WorldSize;
        // Recorded ranks first: what they waited for is known.
        ImmutableArray<int> ranks = [.. job.Ranks.OrderBy(r => r.MadeOf is not null).ThenBy(r => r.Rank).Take(present)
            .Select(r => r.Rank).Order()];
        var calls = JobCalls.Of(job);
        var model = CallModel.Of(calls, network);
        var skews = calls.Where(c => c.TransferNs is not null).SelectMany(c => c.Parts.Values.Select(p => p.DurationNs).OfType<long>()
            .Select(d => (c.Kind, Skew: d - c.TransferNs!.Value))).ToLookup(s => s.Kind, s => s.Skew);
        var random = new Random(unchecked((int)seed));
        var (fromRecording, fromModel) = (0, 0);
        var times = ImmutableSortedDictionary.CreateBuilder<int, ImmutableSortedDictionary<long, long>>();
        foreach (int number in ranks)
        {
            var rank = job.Ranks.First(r => r.Rank == number);
            double scale = rank.Original is { IterationNs: > 0 and { } plain, ProfiledNs: > 0 and { } profiled }
                ? Math.Min(1, (double)plain / profiled) : 1;
            var own = ImmutableSortedDictionary.CreateBuilder<long, long>();
            foreach (var call in calls)
            {
                if (!call.Parts.TryGetValue(number, out var part)
                    || world == job.WorldSize && job.Groups[call.Group].Ranks.All(ranks.Contains))
                    continue; // All of its ranks are there: it runs.
                bool isOther = world != job.WorldSize && call.Size == job.WorldSize;
                double? transfer = isOther ? model.TransferNs(call.Kind, world, call.Bytes) : call.TransferNs
                    ?? (part.DurationNs is null ? model.TransferNs(call.Kind, call.Size, call.Bytes) : null);
                double waited = part.DurationNs is { } took && call.TransferNs is { } least ? took - least
                    : skews[call.Kind].ToArray() is { Length: > 0 } drawn ? drawn[random.Next(drawn.Length)] : 0;
                if (transfer is null && part.DurationNs is null && call.Bytes > 0)
                    throw Problems.CallTimeUnknown(call.Kind, part.Node);
                fromModel += isOther || call.TransferNs is null && part.DurationNs is null ? 1 : 0;
                fromRecording += isOther || call.TransferNs is null && part.DurationNs is null ? 0 : 1;
                // Of one recorded rank alone, nobody tells the transfer from the waiting: the whole counts.
                own[part.Node] = (long)Math.Round(transfer is { } known ? known + scale * waited : part.DurationNs ?? 0);
            }
            times.Add(number, own.ToImmutable());
        }
        return new JobEmulation
        {
            Present = ranks,
            Queues = job.Programs.Any(p => p.Plan.Devices.Any(DeviceName.IsAccelerator)),
            Calls = times.ToImmutable(),
            WorldSize = world,
            FromRecording = fromRecording,
            FromModel = fromModel,
            Interval = fromModel > 0 && model.Residuals is { Length: > 0 } off
                ? (off[(int)(0.05 * (off.Length - 1))], off[(int)Math.Ceiling(0.95 * (off.Length - 1))]) : null,
        };
    }

    /// <summary>The same with other waits.</summary>
    public JobEmulation With(EmulatedWaits waits)
    {
        if (waits == EmulatedWaits.Recorded)
            return this;
        long[] all = [.. Calls.Values.SelectMany(c => c.Values)];
        long each = waits == EmulatedWaits.None || all.Length == 0 ? 0 : (long)all.Average();
        return this with
        {
            Calls = Calls.ToImmutableSortedDictionary(r => r.Key, r => r.Value.ToImmutableSortedDictionary(c => c.Key, _ => each)),
        };
    }

    /// <summary>The file that a rank takes with <c>--emulation</c>.</summary>
    public void Write(int rank, string path)
    {
        using var stream = File.Create(path);
        using var writer = new Utf8JsonWriter(stream);
        writer.WriteStartObject();
        writer.WriteStartArray("present");
        foreach (int present in Present)
            writer.WriteNumberValue(present);
        writer.WriteEndArray();
        writer.WriteBoolean("queues", Queues);
        writer.WriteStartObject("calls");
        foreach (var (node, ns) in Calls[rank])
        {
            writer.WriteStartObject(node.ToString(CultureInfo.InvariantCulture));
            writer.WriteNumber("ns", ns);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
