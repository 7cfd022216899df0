using System.Globalization;

namespace Mystique.Planning;

/// <summary>A storage of a plan: memory that tensors share. The undefined tensor has none: null.</summary>
/// <param name="Index">Its place in <see cref="ReplayPlan.Storages"/>.</param>
public readonly record struct StorageId(int Index)
{
    /// <summary>The place.</summary>
    public override string ToString() => Index.ToString(CultureInfo.InvariantCulture);
}
