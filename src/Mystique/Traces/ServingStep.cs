namespace Mystique.Traces;

/// <summary>A step of a serving engine, and what of it ran in graphs of the device. Times in nanoseconds.</summary>
internal sealed record ServingStep
{
    /// <summary>The step's label; null where it has none.</summary>
    public required string? Label { get; init; }

    /// <summary>Requests that read their prompts; null where no label tells.</summary>
    public required long? ContextRequests { get; init; }

    /// <summary>Requests that make tokens; null where no label tells.</summary>
    public required long? GenerationRequests { get; init; }

    /// <summary>Tokens that it works on; null where no label tells.</summary>
    public required long? Tokens { get; init; }

    /// <summary>The lengths of what its requests attend to, added up; null where no label tells.</summary>
    public required long? Keys { get; init; }

    /// <summary>Graphs that it launches.</summary>
    public required int GraphLaunches { get; init; }

    /// <summary>Of these, those whose operators are known from their capture.</summary>
    public required int JoinedLaunches { get; init; }

    /// <summary>The capture's file; null for none.</summary>
    public required string? Capture { get; init; }

    /// <summary>The batch that the capture is for, in tokens; null for none.</summary>
    public required long? CapturedBatch { get; init; }

    /// <summary>Time on the device, added up over all streams.</summary>
    public required long DeviceNs { get; init; }

    /// <summary>Of this, what graphs started.</summary>
    public required long GraphNs { get; init; }

    /// <summary>Of this, what operators explain: what they started themselves, or in a graph whose capture is known.</summary>
    public required long ExplainedNs { get; init; }

    /// <summary>Kernels, copies and fillings that graphs started.</summary>
    public required int GraphKernels { get; init; }

    /// <summary>Of these, those whose launch was found among a capture's.</summary>
    public required int MatchedKernels { get; init; }
}
