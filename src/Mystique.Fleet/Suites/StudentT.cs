namespace Mystique.Fleet.Suites;

/// <summary>Student's distribution.</summary>
internal static class StudentT
{
    /// <summary>The value that 97.5 % lie below (Hill, Algorithm 396, Communications of the ACM 1970).</summary>
    /// <param name="freedom">Degrees of freedom, from 1.</param>
    public static double Quantile975(double freedom)
    {
        const double P = 0.05; // Both tails.
        if (freedom <= 1)
            return 1 / Math.Tan(P * Math.PI / 2);
        if (freedom <= 2 && freedom > 1.999)
            return Math.Sqrt(2 / (P * (2 - P)) - 2);
        double a = 1 / (freedom - 0.5), b = 48 / (a * a);
        double c = ((20700 * a / b - 98) * a - 16) * a + 96.36;
        double d = ((94.5 / (b + c) - 3) / b + 1) * Math.Sqrt(a * Math.PI / 2) * freedom;
        double y = Math.Pow(d * P, 2 / freedom);
        if (y > 0.05 + a)
        {
            double x = -1.959963984540054;
            y = x * x;
            if (freedom < 5)
                c += 0.3 * (freedom - 4.5) * (x + 0.6);
            c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b;
            y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
            y = a * y * y;
            y = y > 0.002 ? Math.Exp(y) - 1 : 0.5 * y * y + y;
        }
        else
        {
            y = ((1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)) * y - 1)
                * (freedom + 1) / (freedom + 2) + 1 / y;
        }
        return Math.Sqrt(freedom * y);
    }
}
