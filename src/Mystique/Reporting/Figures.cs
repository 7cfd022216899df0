using System.Globalization;

namespace Mystique.Reporting;

/// <summary>How figures are written, on the terminal and in reports.</summary>
internal static class Figures
{
    public static string Megabytes(double bytes) => (bytes / 1e6).ToString("N1", CultureInfo.InvariantCulture) + " MB";

    /// <summary>FLOPs with three digits: <c>1.52 GFLOP</c>.</summary>
    public static string Flops(double flops)
    {
        string[] units = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"];
        int unit = flops < 1000 ? 0 : Math.Min(units.Length - 1, (int)(Math.Log10(flops) / 3));
        return (flops / Math.Pow(1000, unit)).ToString("0.##", CultureInfo.InvariantCulture) + " " + units[unit];
    }

    public static string Percent(double share) => share.ToString("0.0 %", CultureInfo.InvariantCulture);

    /// <summary>A share of a whole, rounded down: what is not all of it never reads 100.0 %.</summary>
    public static string Share(double share) => Percent(Math.Floor(share * 1000 + 1e-9) / 1000);

    /// <summary>A difference as a share of what is differed from: <c>+1.4 %</c>.</summary>
    public static string Difference(double share) => share.ToString("+0.0 %;-0.0 %;0.0 %", CultureInfo.InvariantCulture);

    public static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>How many times as fast, with three digits: <c>1.52x</c>, <c>0.061x</c>.</summary>
    public static string Speedup(double times) =>
        times.ToString(times >= 9.995 ? "0.0" : times >= 0.9995 ? "0.00" : "0.000", CultureInfo.InvariantCulture) + "x";

    /// <summary>Milliseconds with three decimals, without their unit: for columns that name it.</summary>
    public static string InMilliseconds(double nanoseconds) => (nanoseconds / 1e6).ToString("N3", CultureInfo.InvariantCulture);

    /// <summary>A difference in milliseconds, without their unit.</summary>
    public static string DifferenceInMilliseconds(double nanoseconds) =>
        (nanoseconds / 1e6).ToString("+0.000;-0.000;0.000", CultureInfo.InvariantCulture);
}
