using System.Globalization;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>What was wrong with a file, and what it cost: nodes are lost to damaged text, or left out as invalid.</summary>
internal sealed class TraceDamage
{
    private int _places;
    private int _repaired;
    private (long Offset, string Text)? _firstLeftOut;

    /// <summary>The first damage of the text.</summary>
    public (long Offset, string What)? First { get; private set; }

    /// <summary>Nodes that were lost because their text is damaged.</summary>
    public int Lost { get; private set; }

    /// <summary>Nodes that are well-formed but invalid.</summary>
    public int LeftOut { get; private set; }

    public void Add(long offset, string what, int lost = 0, int repaired = 0)
    {
        First ??= (offset, what);
        _places++;
        Lost += lost;
        _repaired += repaired;
        CheckLimit();
    }

    /// <summary>Counts a node that is invalid.</summary>
    public void LeaveOut(long id, string? name, long offset, string why)
    {
        string node = id < 0 ? "a node without an id" : string.Create(CultureInfo.InvariantCulture, $"node {id}");
        _firstLeftOut ??= (offset, string.Create(CultureInfo.InvariantCulture,
            $"{node}{(name is null ? "" : $" ({name})")}, byte {offset:N0}: {why}"));
        LeftOut++;
        CheckLimit();
    }

    public IEnumerable<string> Describe(int kept)
    {
        if (First is { } first)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"the file is damaged from byte {first.Offset:N0} on ({first.What}): {kept:N0} nodes kept, {Lost:N0} lost, ")
                + string.Create(CultureInfo.InvariantCulture, $"{(_repaired == 0 ? "" : $"{_repaired:N0} repaired, ")}")
                + string.Create(CultureInfo.InvariantCulture, $"{_places:N0} damaged place{(_places == 1 ? "" : "s")}");
        if (_firstLeftOut is { } leftOut)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{LeftOut:N0} node{(LeftOut == 1 ? "" : "s")} left out ({kept:N0} kept); the first: {leftOut.Text}");
    }

    private void CheckLimit()
    {
        if (Lost + LeftOut > ReadLimits.LostNodes)
            throw new ReadLimitException("too many of its nodes are damaged",
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.LostNodes:N0}"));
    }
}
