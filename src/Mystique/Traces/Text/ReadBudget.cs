using System.Globalization;

namespace Mystique.Traces.Text;

/// <summary>
/// Counts what the model of a file takes in memory while it is read, so that no file makes reading take more than
/// <see cref="ReadLimits.MemoryFactor"/> times its text and <see cref="ReadLimits.MemoryFloorBytes"/>. The sizes are those of
/// .NET's objects with 64 bits, and of what lists and dictionaries need when they grow.
/// </summary>
/// <param name="window">What was read so far.</param>
/// <param name="floorBytes">What it may take beside that.</param>
internal sealed class ReadBudget(TraceWindow window, long floorBytes = ReadLimits.MemoryFloorBytes)
{
    /// <summary>A node, its place in lists, and what linking it takes.</summary>
    public const int NodeBytes = 288;

    /// <summary>An argument of one value: an integer, a double, a string, a device.</summary>
    public const int ValueBytes = 24;

    /// <summary>A tensor, without its shape.</summary>
    public const int TensorBytes = 88;

    /// <summary>An array without its elements.</summary>
    public const int ArrayBytes = 24;

    /// <summary>An entry of a dictionary or a pool, without what it refers to.</summary>
    public const int EntryBytes = 104;

    /// <summary>An event of a profile, while the list of them becomes an array.</summary>
    public const int EventBytes = 2 * 112;

    /// <summary>A JSON value before arguments are made of it, while its buffer grows.</summary>
    private const int ElementBytes = 36;

    private long _used;
    private int _elements;
    private double _reachBytes;

    /// <summary>Starts a node: its elements are counted from here on.</summary>
    public void StartNode() => _elements = 0;

    /// <summary>Counts an element of the node's lists.</summary>
    /// <exception cref="ReadLimitException">There are too many.</exception>
    public void AddElement()
    {
        if (++_elements > ReadLimits.Elements)
            throw new ReadLimitException("the lists of a node are too long",
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.Elements:N0} elements"));
    }

    /// <summary>Counts memory that is kept.</summary>
    /// <exception cref="ReadLimitException">It is too much for the text that was read.</exception>
    public void Take(long bytes)
    {
        _used += bytes;
        if (_used + window.BufferBytes + (long)_elements * ElementBytes > ReadLimits.MemoryFactor * window.TotalBytes + floorBytes)
            throw new ReadLimitException("what is in it would take too much memory",
                $"{ReadLimits.MemoryFactor} bytes for each byte of its text, and 64 MB");
    }

    /// <summary>Counts the bytes that a tensor reaches over, or a collective's elements.</summary>
    /// <exception cref="FormatException">They are more than any machine has.</exception>
    public void Reach(double bytes)
    {
        // A node that is left out for it does not count.
        if (!(_reachBytes + bytes <= ReadLimits.ReachBytes))
            throw new FormatException("tensors that reach over more than 2^62 bytes, alone or with those before them");
        _reachBytes += bytes;
    }
}
