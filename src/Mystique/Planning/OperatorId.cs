using System.Globalization;

namespace Mystique;

/// <summary>An operator of a recording that is replayed. What is not known is no id, but null.</summary>
/// <param name="Segment">The segment's place among those of the plan, from 0: node ids are unique in one trace only.</param>
/// <param name="Node">The id of its node in the segment's trace.</param>
public readonly record struct OperatorId(int Segment, long Node) : IComparable<OperatorId>
{
    /// <inheritdoc/>
    public int CompareTo(OperatorId other) => (Segment, Node).CompareTo((other.Segment, other.Node));

    /// <summary>The node's id; behind that of the segment, where it is not the first.</summary>
    public override string ToString() => Segment == 0 ? Node.ToString(CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"{Segment}:{Node}");
}
