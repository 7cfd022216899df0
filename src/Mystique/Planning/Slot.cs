using System.Globalization;

namespace Mystique.Planning;

/// <summary>A tensor of a plan. What is undefined, or None in a list, is no slot, but null.</summary>
/// <param name="Index">Its place in <see cref="ReplayPlan.Tensors"/>.</param>
public readonly record struct Slot(int Index)
{
    /// <summary>The place.</summary>
    public override string ToString() => Index.ToString(CultureInfo.InvariantCulture);
}
