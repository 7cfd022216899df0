namespace Mystique;

/// <summary>How far something is that takes a while.</summary>
/// <param name="Stage">What is being done, for people, for example <c>measuring</c>.</param>
/// <param name="Done">Parts of it that are done.</param>
/// <param name="Total">All parts; 0 where that is not known.</param>
public readonly record struct ReplayProgress(string Stage, int Done, int Total);
