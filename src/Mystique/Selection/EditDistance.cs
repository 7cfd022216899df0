namespace Mystique.Selection;

/// <summary>How far a name is from another one.</summary>
internal static class EditDistance
{
    /// <summary>Levenshtein's distance, of texts up to 200 characters.</summary>
    public static int Of(string name, string wanted)
    {
        (name, wanted) = (name[..Math.Min(name.Length, 200)], wanted[..Math.Min(wanted.Length, 200)]);
        int[] row = [.. Enumerable.Range(0, wanted.Length + 1)];
        for (int i = 0; i < name.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < wanted.Length; j++)
                (diagonal, row[j + 1]) = (row[j + 1], Math.Min(Math.Min(row[j], row[j + 1]) + 1, diagonal
                    + (name[i] == wanted[j] ? 0 : 1)));
        }
        return row[wanted.Length];
    }
}
