using System.Collections.Immutable;
using Mystique.Traces.Kineto;

namespace Mystique.Tests;

internal static class ProfileOf
{
    /// <summary>A profile, found by ids, that has the times of nodes and nothing else.</summary>
    public static LinkedProfile Times(ImmutableDictionary<long, OperatorTime> operators, long iterationNs) => new()
    {
        Source = "p.json",
        Link = ProfileLink.Id,
        IterationNs = iterationNs,
        Operators = operators,
        Unlinked = [],
        UnlinkedEvents = 0,
        Unexplained = [],
        DeviceNs = 0,
        HostWaits = [],
        Steps = ImmutableDictionary<long, long>.Empty,
        Notes = [],
    };
}
