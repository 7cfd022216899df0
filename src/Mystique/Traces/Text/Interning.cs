using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace Mystique.Traces.Text;

/// <summary>
/// Turns UTF-8 text into strings, each text once: a trace repeats the same few hundred names, types and schemas
/// in every node.
/// </summary>
/// <param name="budget">What the strings are counted by.</param>
internal sealed class Utf8StringPool(ReadBudget budget)
{
    private (byte[] Utf8, string Text)[] _slots = new (byte[], string)[1024];
    private int _count;

    public string Get(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty)
            return "";
        int slot = Find(utf8);
        if (_slots[slot].Utf8 is not null)
            return _slots[slot].Text;
        if (++_count * 2 > _slots.Length)
        {
            Grow();
            slot = Find(utf8);
        }
        budget.Take(ReadBudget.EntryBytes + 2 * ReadBudget.ArrayBytes + 3L * utf8.Length);
        string text = Encoding.UTF8.GetString(utf8);
        _slots[slot] = (utf8.ToArray(), text);
        return text;
    }

    private int Find(ReadOnlySpan<byte> utf8)
    {
        uint hash = Hash(utf8);
        int slot = (int)(hash & (uint)(_slots.Length - 1));
        while (_slots[slot].Utf8 is { } known && !utf8.SequenceEqual(known))
            slot = (slot + 1) & (_slots.Length - 1);
        return slot;
    }

    private void Grow()
    {
        var old = _slots;
        _slots = new (byte[], string)[old.Length * 2];
        foreach (var entry in old)
            if (entry.Utf8 is not null)
                _slots[Find(entry.Utf8)] = entry;
    }

    private static uint Hash(ReadOnlySpan<byte> utf8)
    {
        ulong hash = (ulong)utf8.Length;
        while (utf8.Length >= 8)
        {
            hash = Mix(hash ^ MemoryMarshal.Read<ulong>(utf8));
            utf8 = utf8[8..];
        }
        foreach (byte b in utf8)
            hash = (hash << 8) + b + (hash >> 51);
        return (uint)(Mix(hash) >> 32);
    }

    private static ulong Mix(ulong x)
    {
        x *= 0x9E3779B97F4A7C15;
        return x ^ (x >> 29);
    }
}

/// <summary>Shares equal shapes and strides.</summary>
/// <param name="budget">What they are counted by.</param>
internal sealed class ShapePool(ReadBudget budget)
{
    private readonly HashSet<Key>.AlternateLookup<ReadOnlySpan<long>> _lookup =
        new HashSet<Key>(new Comparer()).GetAlternateLookup<ReadOnlySpan<long>>();

    public ImmutableArray<long> Get(ReadOnlySpan<long> items)
    {
        if (items.IsEmpty)
            return [];
        if (!_lookup.TryGetValue(items, out var shared))
        {
            budget.Take(ReadBudget.EntryBytes + ReadBudget.ArrayBytes + (long)sizeof(long) * items.Length);
            _lookup.Add(items);
            _lookup.TryGetValue(items, out shared);
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(shared.Items);
    }

    private readonly record struct Key(long[] Items);

    private sealed class Comparer : IEqualityComparer<Key>, IAlternateEqualityComparer<ReadOnlySpan<long>, Key>
    {
        public bool Equals(Key x, Key y) => x.Items.AsSpan().SequenceEqual(y.Items);

        public int GetHashCode(Key key) => GetHashCode(key.Items.AsSpan());

        public bool Equals(ReadOnlySpan<long> alternate, Key other) => alternate.SequenceEqual(other.Items);

        public int GetHashCode(ReadOnlySpan<long> alternate)
        {
            ulong hash = (ulong)alternate.Length;
            foreach (long item in alternate)
                hash = (hash ^ (ulong)item) * 0x9E3779B97F4A7C15;
            return (int)(hash >> 32);
        }

        public Key Create(ReadOnlySpan<long> alternate) => new(alternate.ToArray());
    }
}
