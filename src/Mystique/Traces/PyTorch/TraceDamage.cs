using System.Globalization;

namespace Mystique.Traces.PyTorch;

/// <summary>What was wrong with a file's text, and what it cost.</summary>
internal sealed class TraceDamage
{
    private int _places;

    /// <summary>The first damage.</summary>
    public (long Offset, string What)? First { get; private set; }

    /// <summary>Nodes that were lost.</summary>
    public int Lost { get; private set; }

    public void Add(long offset, string what, int lost = 0)
    {
        First ??= (offset, what);
        _places++;
        Lost += lost;
    }

    public string Describe(int kept) => string.Create(CultureInfo.InvariantCulture,
        $"the file is damaged from byte {First!.Value.Offset:N0} on ({First.Value.What}): {kept:N0} nodes kept, {Lost:N0} lost, "
            + $"{_places:N0} damaged place{(_places == 1 ? "" : "s")}");
}
