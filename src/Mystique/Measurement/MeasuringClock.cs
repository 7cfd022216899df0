namespace Mystique.Measurement;

/// <summary>What measures iterations, by the names that files have.</summary>
internal static class MeasuringClock
{
    /// <summary>The host's clock; of a replay on a device, until that has done its work.</summary>
    public const string Host = "host";

    /// <summary>Events of the device, at an iteration's start and end.</summary>
    public const string Events = "events";

    /// <summary>The clock in words; empty where it is not known.</summary>
    public static string Describe(string? clock) => clock switch { Host => "the host's clock", Events => "events of the device", _ => "" };
}
