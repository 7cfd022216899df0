using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// PyTorch's settings that decide which kernels run, by their names in <c>python/shared/settings.py</c>; values are texts in lower case.
/// </summary>
/// <param name="IsOfTrace">Whether they were read off recorded operators and kernels, and not from the job itself.</param>
/// <param name="Values">The settings.</param>
public sealed record RecordedSettings(bool IsOfTrace, ImmutableSortedDictionary<string, string> Values)
{
    /// <summary>
    /// Arguments of <c>aten::_convolution</c> and <c>aten::cudnn_convolution</c> that are settings
    /// (<c>aten/src/ATen/native/native_functions.yaml</c>).
    /// </summary>
    private static readonly (string Argument, string Setting)[] OfConvolutions =
    [
        ("benchmark", "cudnn_benchmark"), ("deterministic", "cudnn_deterministic"), ("cudnn_enabled", "cudnn_enabled"),
        ("allow_tf32", "cudnn_allow_tf32"),
    ];

    /// <summary>The job's, where it was captured; else what convolutions on a device carry and kernels tell; null for nothing.</summary>
    /// <param name="segment">The selection.</param>
    internal static RecordedSettings? Of(Segment segment)
    {
        if (segment.Recording.Baseline is { Settings: { IsEmpty: false } settings })
            return new RecordedSettings(false, settings);
        var found = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var node in segment.Recording.Trace.Nodes)
            if (node.Schema is { QualifiedName: "aten::_convolution" or "aten::cudnn_convolution" } schema
                && TensorLayout.TensorsOf(node.Inputs).Any(t => DeviceName.IsAccelerator(t.Device)))
                foreach (var (argument, setting) in OfConvolutions)
                    if (schema.PlaceOf(argument) is { } place && node.Inputs.ElementAtOrDefault(place) is BoolValue { Value: var on })
                        found.TryAdd(setting, on ? "true" : "false");
        if (GemmPrecision.UsesTf32(segment.Recording) is { } isTf32)
            found[GemmPrecision.Setting] = isTf32 ? "true" : "false";
        return found.Count == 0 ? null : new RecordedSettings(true, found.ToImmutable());
    }

    /// <inheritdoc/>
    public bool Equals(RecordedSettings? other) => other is not null && IsOfTrace == other.IsOfTrace && Values.SequenceEqual(other.Values);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(IsOfTrace, Values.Count);
}
