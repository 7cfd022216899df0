using System.Globalization;

namespace Mystique.Traces;

/// <summary>A stream of a device: what is given to it runs one after the other. What is not known is no id, but null.</summary>
/// <param name="Number">
/// As the profile numbers it; CUDA's default stream is 7 there. Of several devices that number theirs alike, the later ones' streams have
/// numbers of their own (<c>Traces/Kineto/DeviceStreams.cs</c>).
/// </param>
public readonly record struct StreamId(long Number)
{
    /// <summary>The number.</summary>
    public override string ToString() => Number.ToString(CultureInfo.InvariantCulture);
}
