namespace Mystique.Composition;

/// <summary>What somebody may have meant.</summary>
internal static class NearestNames
{
    /// <summary>"did you mean …?", or what there is.</summary>
    /// <param name="name">What was written.</param>
    /// <param name="known">What there is.</param>
    public static string Of(string name, IEnumerable<string> known)
    {
        string[] all = [.. known];
        string? nearest = all.Select(k => (Name: k, Distance: Selection.EditDistance.Of(k, name)))
            .Where(k => k.Distance <= Math.Max(2, name.Length / 2)).OrderBy(k => k.Distance).ThenBy(k => k.Name, StringComparer.Ordinal)
            .Select(k => k.Name).FirstOrDefault();
        return nearest is null ? $"there is {string.Join(", ", all)}" : $"did you mean {nearest}?";
    }
}
