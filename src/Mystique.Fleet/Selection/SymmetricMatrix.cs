namespace Mystique.Fleet.Selection;

/// <summary>Linear algebra of small symmetric matrices.</summary>
internal static class SymmetricMatrix
{
    private const int MaxSweeps = 100;

    /// <summary>
    /// Eigenvalues, falling, and eigenvectors as columns, by Jacobi's rotations (Golub and Van Loan, "Matrix Computations", 8.5). The
    /// largest entry of each vector is positive, so that the same matrix has the same vectors everywhere.
    /// </summary>
    public static (double[] Values, double[,] Vectors) Decompose(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        var a = (double[,])matrix.Clone();
        var v = new double[n, n];
        for (int i = 0; i < n; i++)
            v[i, i] = 1;
        for (int sweep = 0; sweep < MaxSweeps; sweep++)
        {
            double off = 0, all = 0;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    (off, all) = (off + (i == j ? 0 : a[i, j] * a[i, j]), all + a[i, j] * a[i, j]);
            if (off <= 1e-24 * all)
                break;
            for (int p = 0; p < n; p++)
                for (int q = p + 1; q < n; q++)
                    Rotate(a, v, n, p, q);
        }
        int[] order = [.. Enumerable.Range(0, n).OrderByDescending(i => a[i, i]).ThenBy(i => i)];
        var vectors = new double[n, n];
        for (int k = 0; k < n; k++)
        {
            int from = order[k];
            int largest = Enumerable.Range(0, n).MaxBy(i => Math.Abs(v[i, from]));
            double sign = v[largest, from] < 0 ? -1 : 1;
            for (int i = 0; i < n; i++)
                vectors[i, k] = sign * v[i, from];
        }
        return ([.. order.Select(i => Math.Max(0, a[i, i]))], vectors);
    }

    /// <summary>Solves <c>A x = b</c> for a positive definite A, by Cholesky; null where it is not.</summary>
    public static double[]? Solve(double[,] a, double[] b)
    {
        int n = b.Length;
        var l = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++)
            {
                double sum = a[i, j];
                for (int k = 0; k < j; k++)
                    sum -= l[i, k] * l[j, k];
                if (i == j && !(sum > 1e-14 * Math.Abs(a[i, i])))
                    return null;
                l[i, j] = i == j ? Math.Sqrt(sum) : sum / l[j, j];
            }
        var x = (double[])b.Clone();
        for (int i = 0; i < n; i++)
        {
            for (int k = 0; k < i; k++)
                x[i] -= l[i, k] * x[k];
            x[i] /= l[i, i];
        }
        for (int i = n - 1; i >= 0; i--)
        {
            for (int k = i + 1; k < n; k++)
                x[i] -= l[k, i] * x[k];
            x[i] /= l[i, i];
        }
        return x;
    }

    /// <summary>The inverse of a positive definite matrix, and the logarithm of its determinant, by Cholesky.</summary>
    public static (double[,] Inverse, double LogDeterminant) Invert(double[,] a)
    {
        int n = a.GetLength(0);
        var l = new double[n, n];
        double log = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++)
            {
                double sum = a[i, j];
                for (int k = 0; k < j; k++)
                    sum -= l[i, k] * l[j, k];
                l[i, j] = i == j ? Math.Sqrt(Math.Max(sum, 1e-12)) : sum / l[j, j];
                log += i == j ? 2 * Math.Log(l[i, i]) : 0;
            }
        var lower = new double[n, n]; // The inverse of l.
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++)
            {
                double sum = i == j ? 1 : 0;
                for (int k = j; k < i; k++)
                    sum -= l[i, k] * lower[k, j];
                lower[i, j] = sum / l[i, i];
            }
        var inverse = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = Math.Max(i, j); k < n; k++)
                    inverse[i, j] += lower[k, i] * lower[k, j];
        return (inverse, log);
    }

    private static void Rotate(double[,] a, double[,] v, int n, int p, int q)
    {
        if (Math.Abs(a[p, q]) < 1e-300)
            return;
        double theta = (a[q, q] - a[p, p]) / (2 * a[p, q]);
        double t = (theta < 0 ? -1 : 1) / (Math.Abs(theta) + Math.Sqrt(theta * theta + 1));
        double c = 1 / Math.Sqrt(t * t + 1), s = t * c;
        for (int k = 0; k < n; k++)
            (a[k, p], a[k, q]) = (c * a[k, p] - s * a[k, q], s * a[k, p] + c * a[k, q]);
        for (int k = 0; k < n; k++)
            (a[p, k], a[q, k]) = (c * a[p, k] - s * a[q, k], s * a[p, k] + c * a[q, k]);
        for (int k = 0; k < n; k++)
            (v[k, p], v[k, q]) = (c * v[k, p] - s * v[k, q], s * v[k, p] + c * v[k, q]);
    }
}
