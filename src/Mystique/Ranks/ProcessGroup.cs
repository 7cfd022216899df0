using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>A process group, as a rank's trace tells of it. Immutable.</summary>
/// <param name="Name">Its name (<c>pg_name</c>), or for old traces <c>@</c> and a number.</param>
/// <param name="Description">What it is for (<c>pg_desc</c>); empty where nothing tells.</param>
/// <param name="Backend">Its backends (<c>backend_config</c>); empty where nothing tells.</param>
/// <param name="Ranks">Its members by their global ranks, in the order of their places; default where nothing tells.</param>
/// <param name="Size">How many they are; null where nothing tells.</param>
internal sealed record ProcessGroup(string Name, string Description, string Backend, ImmutableArray<int> Ranks, int? Size)
{
    /// <summary>Whether its members are known.</summary>
    public bool HasRanks => !Ranks.IsDefault;
}
