using System.Globalization;

namespace Mystique.Anonymising;

/// <summary>
/// What stands for names that are not given away: numbers in the order in which they come, the same for all ranks of a job.
/// </summary>
internal sealed class PrivateNames
{
    private readonly Dictionary<(string Kind, string Name), int> _numbers = [];
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);

    /// <summary>The number of a name among those of its kind, from 0.</summary>
    /// <param name="kind">For example <c>group</c>.</param>
    /// <param name="name">The name.</param>
    public int NumberOf(string kind, string name)
    {
        if (_numbers.TryGetValue((kind, name), out int number))
            return number;
        number = _counts.GetValueOrDefault(kind);
        _counts[kind] = number + 1;
        _numbers.Add((kind, name), number);
        return number;
    }

    /// <summary>The same as text.</summary>
    public string TextOf(string kind, string name) => NumberOf(kind, name).ToString(CultureInfo.InvariantCulture);

    /// <summary>How many names of a kind there were.</summary>
    public int CountOf(string kind) => _counts.GetValueOrDefault(kind);
}
