using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// What calls on several streams wait for: what the original's streams waited for, where that was recorded; and what the data demand. A
/// read waits for the last write, a write for the last write and for what was read since; reads wait for no reads. What is done by then
/// anyhow, because of waits before, is not waited for again.
/// </summary>
internal sealed class StreamOrder
{
    private readonly List<StreamId?> _streams = []; // The main one is null.
    private readonly List<int> _ofCall = []; // Places of the calls' streams.
    private readonly List<int[]> _done = []; // By call and stream, the last call whose work is done when the call's is.
    private readonly Dictionary<StorageId, int> _written = []; // By storage, the call that wrote to it last.
    private readonly Dictionary<StorageId, List<int>> _read = []; // By storage, the last call of each stream that has read it since.

    /// <summary>Waits that the data demand, and nothing that was recorded covers.</summary>
    public int OfData { get; private set; }

    /// <summary>Adds a call; returns the earlier ones on other streams whose work must be done, of each stream the last.</summary>
    /// <param name="call">Its place in the schedule.</param>
    /// <param name="stream">Its stream.</param>
    /// <param name="access">What memory it touches.</param>
    /// <param name="recorded">Earlier calls that the original is known to have waited for.</param>
    public IEnumerable<int> Add(int call, StreamId? stream, MemoryAccess access, IEnumerable<int> recorded)
    {
        int own = PlaceOf(stream);
        int[] done = [.. _ofCall.LastIndexOf(own) is >= 0 and int before ? _done[before] : []];
        var waits = new SortedSet<int>();
        foreach (int wait in LastOfEach(recorded, own))
            WaitFor(wait, ref done, waits);
        foreach (int wait in LastOfEach(Conflicts(call, own, access), own).OrderDescending())
        {
            if (DoneOf(done, _ofCall[wait]) >= wait)
                continue;
            WaitFor(wait, ref done, waits);
            OfData++;
        }
        _ofCall.Add(own);
        Set(ref done, own, call);
        _done.Add(done);
        return waits;
    }

    /// <summary>The calls that must be done for the data's sake; this one's reads and writes are noted.</summary>
    private HashSet<int> Conflicts(int call, int own, MemoryAccess access)
    {
        var before = new HashSet<int>();
        foreach (var storage in access.Reads)
        {
            if (_written.TryGetValue(storage, out int write))
                before.Add(write);
            if (!_read.TryGetValue(storage, out var reads))
                _read.Add(storage, reads = []);
            reads.RemoveAll(r => _ofCall[r] == own);
            reads.Add(call);
        }
        foreach (var storage in access.Writes)
        {
            if (_written.TryGetValue(storage, out int write))
                before.Add(write);
            if (_read.Remove(storage, out var reads))
                before.UnionWith(reads);
            _written[storage] = call;
        }
        return before;
    }

    private int[] LastOfEach(IEnumerable<int> calls, int own) =>
        [.. calls.Where(c => _ofCall[c] != own).GroupBy(c => _ofCall[c]).Select(g => g.Max())];

    private void WaitFor(int wait, ref int[] done, SortedSet<int> waits)
    {
        waits.Add(wait);
        for (int stream = 0; stream < _done[wait].Length; stream++)
            Set(ref done, stream, _done[wait][stream]);
    }

    private static int DoneOf(int[] done, int stream) => stream < done.Length ? done[stream] : -1;

    private static void Set(ref int[] done, int stream, int call)
    {
        int known = done.Length;
        if (stream >= known)
        {
            Array.Resize(ref done, stream + 1);
            Array.Fill(done, -1, known, stream + 1 - known);
        }
        done[stream] = Math.Max(done[stream], call);
    }

    private int PlaceOf(StreamId? stream)
    {
        int place = _streams.IndexOf(stream);
        if (place >= 0)
            return place;
        _streams.Add(stream);
        return _streams.Count - 1;
    }
}
