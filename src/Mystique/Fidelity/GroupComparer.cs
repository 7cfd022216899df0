using System.Collections.Immutable;
using System.Globalization;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>
/// Compares operators by their names: by their time on the device where both sides' profiles have kernels, else on the host. There an
/// operator on a device takes as long as it takes to launch it.
/// </summary>
internal static class GroupComparer
{
    /// <summary>What comes of it.</summary>
    /// <param name="Errors">Operators by name, those that explain most of the difference first.</param>
    /// <param name="BetweenNs">Time in no operator on the host; null where it is not known.</param>
    /// <param name="IdleNs">Time in which the device did nothing; null where times on the host are compared.</param>
    /// <param name="CountsCompare">Whether both sides count the same operators.</param>
    internal sealed record Result(ImmutableArray<OperatorGroupError> Errors, (double, double)? BetweenNs, (double, double)? IdleNs,
        bool CountsCompare);

    /// <summary>Compares.</summary>
    /// <param name="original">The original.</param>
    /// <param name="replay">The replay.</param>
    /// <param name="notes">What limits the comparison is added here.</param>
    public static Result Compare(Run original, Run replay, ImmutableArray<string>.Builder notes)
    {
        var (kinds, watched) = (original.Groups, original.InstrumentedNs);
        bool countsCompare = !kinds.IsEmpty && !replay.Groups.IsEmpty;
        if (original.DecomposedOperators is { } opened && replay.DecomposedOperators is { } others && opened != others
            && replay.Coverage?.OriginalGroups is { } known)
        {
            // The replay had to decompose more operators than the trace alone tells: its package knows the original's times of just these.
            notes.Add(string.Create(CultureInfo.InvariantCulture,
                $"the replay decomposed {others} operators where the trace alone tells {opened}: the original's are counted as the "
                + $"replay's package has them"));
            (kinds, watched) = (known, replay.Coverage.OriginalInstrumentedNs);
        }
        else if (kinds.IsEmpty && replay.Coverage?.OriginalGroups is { IsEmpty: false } fromPackage)
        {
            (kinds, watched) = (fromPackage, replay.Coverage.OriginalInstrumentedNs);
            countsCompare = true;
        }
        double originalScale = ScaleOf(kinds, watched, original.Times);
        double replayScale = ScaleOf(replay.Groups, replay.InstrumentedNs, replay.Times);
        bool hasTimes = originalScale > 0 && replayScale > 0;
        bool isByDevice = IsOnDevice(kinds) && IsOnDevice(replay.Groups);
        if (!hasTimes && !isByDevice)
            notes.Add("times of operators are not known on both sides: what explains a difference cannot be said");
        if (!isByDevice && hasTimes && (IsOnDevice(kinds) || IsOnDevice(replay.Groups)))
            notes.Add($"operators are compared by their time on the host, on a device mostly that of launching them: no profile of the "
                + $"{(IsOnDevice(kinds) ? "replay" : "original")} tells what they started there");
        var errors = kinds.Keys.Union(replay.Groups.Keys).Select(name =>
        {
            kinds.TryGetValue(name, out var a);
            replay.Groups.TryGetValue(name, out var b);
            return new OperatorGroupError
            {
                Name = name,
                OriginalCount = a?.Count ?? 0,
                ReplayCount = b?.Count ?? 0,
                OriginalNs = hasTimes ? (a?.TimeNs ?? 0) * originalScale : null,
                ReplayNs = hasTimes ? (b?.TimeNs ?? 0) * replayScale : null,
                OriginalDeviceNs = isByDevice ? a?.DeviceNs ?? 0 : null,
                ReplayDeviceNs = isByDevice ? b?.DeviceNs ?? 0 : null,
                OriginalKernels = isByDevice ? a?.Kernels ?? 0 : null,
                ReplayKernels = isByDevice ? b?.Kernels ?? 0 : null,
                OriginalBytes = a?.AllocatedBytes,
                ReplayBytes = b?.AllocatedBytes,
            };
        }).OrderByDescending(k => Math.Abs(k.DifferenceNs)).ThenByDescending(k => k.OriginalCount)
            .ThenBy(k => k.Name, StringComparer.Ordinal).ToImmutableArray();
        return new Result(errors,
            hasTimes ? (original.Times.MedianNs - errors.Sum(k => k.OriginalNs!.Value),
                replay.Times.MedianNs - errors.Sum(k => k.ReplayNs!.Value)) : null,
            isByDevice ? (IdleOf(original, errors.Sum(k => k.OriginalDeviceNs!.Value)),
                IdleOf(replay, errors.Sum(k => k.ReplayDeviceNs!.Value))) : null, countsCompare);
    }

    private static bool IsOnDevice(ImmutableSortedDictionary<string, RunOperatorGroup> kinds) => kinds.Values.Any(k => k.DeviceNs > 0);

    /// <summary>What an iteration leaves the device: work on several streams at once counts once where its overlap is known.</summary>
    private static double IdleOf(Run run, double deviceNs)
    {
        double busy = run is { Concurrency.DeviceBusy: { } share, InstrumentedNs: { } whole } ? Math.Min(deviceNs, share * whole)
            : deviceNs;
        return Math.Max(0, run.Times.MedianNs - busy);
    }

    /// <summary>
    /// From the times of an instrumented iteration to those of an uninstrumented one. Instruments make operators longer; without
    /// more knowledge they make all of them so alike. On the device they add nothing.
    /// </summary>
    private static double ScaleOf(ImmutableSortedDictionary<string, RunOperatorGroup> kinds, long? instrumentedNs, SampleStatistics times)
    {
        double sum = kinds.Values.Sum(k => k.TimeNs ?? 0);
        return sum <= 0 || times.SamplesNs.IsEmpty ? 0 : times.MedianNs / Math.Max(instrumentedNs ?? 0, sum);
    }
}
