namespace Mystique.Measurement;

/// <summary>
/// Memory of a device in PyTorch's caching allocator (<c>torch.cuda.max_memory_allocated</c>, <c>max_memory_reserved</c>), in bytes.
/// </summary>
/// <param name="PeakBytes">The most that tensors, and libraries by way of it, had at one time.</param>
/// <param name="ReservedBytes">The most that it held of the device for them; null where PyTorch does not tell.</param>
public sealed record AllocatorUse(long PeakBytes, long? ReservedBytes)
{
    /// <summary>The most of several; null where one of them is not known.</summary>
    internal static AllocatorUse? MostOf(IEnumerable<AllocatorUse?> uses)
    {
        var all = uses.ToArray();
        return all.Length == 0 || all.Contains(null) ? null : new(all.Max(u => u!.PeakBytes),
            all.Any(u => u!.ReservedBytes is null) ? null : all.Max(u => u!.ReservedBytes));
    }
}
