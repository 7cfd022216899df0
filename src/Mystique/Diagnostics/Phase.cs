using System.Diagnostics;

namespace Mystique.Diagnostics;

/// <summary>
/// Steps of the work, with .NET's own instruments: the activity source <c>Mystique</c>, which <c>--verbose</c>, a test or
/// OpenTelemetry can listen to. Nobody listens: nothing is made.
/// </summary>
internal static class Phase
{
    /// <summary>The source's name.</summary>
    public const string SourceName = "Mystique";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Starts a step, which ends when the answer is disposed.</summary>
    /// <param name="name">What is done, in words for people.</param>
    public static Activity? Start(string name) => Source.StartActivity(name);
}
