namespace Mystique.Traces.Text;

/// <summary>Finds where an item of a list starts.</summary>
/// <param name="text">The text.</param>
/// <param name="isFinal">Whether nothing follows it.</param>
/// <param name="examined">How much of it needs not be looked at again, where there is no start.</param>
/// <returns>The place of the start; -1 for none.</returns>
internal delegate int FindItemStart(ReadOnlySpan<byte> text, bool isFinal, out int examined);

/// <summary>Goes on behind a damaged item of a list, for readers of traces and of profiles: one bad item costs one item.</summary>
internal static class ItemResumption
{
    /// <summary>Moves a window to the next item, or to its end.</summary>
    /// <param name="window">The text.</param>
    /// <param name="find">What an item starts with.</param>
    public static void SkipToNext(TraceWindow window, FindItemStart find)
    {
        while (true)
        {
            int start = find(window.Data, window.IsFinal, out int examined);
            if (start >= 0)
            {
                window.Advance(start);
                return;
            }
            window.Advance(examined);
            if (!window.Fill())
            {
                window.Advance(window.Data.Length);
                return;
            }
        }
    }
}

/// <summary>What was wrong with items of a text, and what it cost.</summary>
internal sealed class ItemDamage
{
    /// <summary>The first.</summary>
    public (long Offset, string What)? First { get; private set; }

    /// <summary>Items that were lost.</summary>
    public int Lost { get; private set; }

    public void Add(long offset, string what, int lost)
    {
        First ??= (offset, what);
        Lost += lost;
    }
}
