namespace Mystique.Measurement;

/// <summary>An error of medians, and the interval that holds the true one with 95% confidence.</summary>
/// <param name="Error">The error.</param>
/// <param name="Low">The interval's start.</param>
/// <param name="High">Its end.</param>
public sealed record ErrorInterval(double Error, double Low, double High);
