using System.Globalization;

namespace Mystique.Diagnostics;

internal static partial class Problems
{
    public static MystiqueException RankTwice(string folder, int rank, string first, string second) =>
        new("MYS129", $"rank {rank} is there twice: {first} and {second}", folder,
            "leave one trace of each rank in the folder, of one job");

    public static MystiqueException RanksDoNotFit(string folder, int count, string first) =>
        new("MYS130", $"the ranks do not fit together: {count} mismatches; the first: {first}", folder,
            "use traces of the same iteration of one job; mystique inspect lists all mismatches");

    public static MystiqueException JobInvalid(string path, string why) =>
        new("MYS131", $"the job's file is invalid: {why}", path, "generate the job's benchmark again");

    public static MystiqueException RankCannotBeMadeUp(string folder, string ranks, string why) =>
        new("MYS132", $"{ranks} was not recorded, and no other rank can stand for it: {why}", folder, "capture all ranks of the job");

    public static MystiqueException OutputIsNoJob(string directory, string what) =>
        new("MYS133", $"the output folder holds something that is not a job's benchmark: {what}", directory, "name an empty or new folder");

    public static MystiqueException RankUnknown(string source, int rank, int worldSize) =>
        new("MYS134", string.Create(CultureInfo.InvariantCulture, $"there is no rank {rank}: the job has {worldSize}"), source,
            "name ranks from 0 on with --ranks");

    public static MystiqueException NoCallsToRun(string folder) =>
        new("MYS135", "no call between these ranks can be made: no process group's ranks are known", folder,
            "use traces that tell the process groups (PyTorch 2.6 or newer), or run each rank's trace alone");

    public static MystiqueException RanksFailed(string source, string what, bool isBadInput) =>
        new("MYS437", $"the ranks did not run to their end: {what}", source, "see the rank's own message; run it alone with --ranks",
            isBadInput ? ExitCode.BadInput : ExitCode.ReplayFailed);

    public static MystiqueException RanksRanDifferently(string source, int rank) =>
        new("MYS438", $"the replay of rank {rank} differs from the recording, or was not verified", source,
            "omit --strict to accept the result; it lists all differences", ExitCode.ReplayFailed);

    public static MystiqueException RanksNeedPython(string source) =>
        new("MYS439", "ranks run together in a Python's PyTorch alone", source, "use --engine python, or name one rank with --ranks");

    public static MystiqueException NetworkInvalid(string path, Exception cause) =>
        new("MYS136", $"the description of the network is invalid: {FirstSentence(cause)}", path,
            "docs/ranks.md says what it has: ranks_per_node, node_gbytes_per_s and network_gbytes_per_s at least", inner: cause);

    public static MystiqueException CallTimeUnknown(string kind, long node) =>
        new("MYS137", $"nothing tells how long the call {kind} takes with ranks that are not there",
            string.Create(CultureInfo.InvariantCulture, $"node {node}"),
            "capture with profiles of at least two ranks, or describe the network with --network");

    public static MystiqueException RankNotNamed(string path) =>
        new("MYS138", "the file's name does not say of which rank it is", path,
            "name files rank-N.et.json.gz and rank-N.kineto.json.gz, or name the captures' folders");

    public static MystiqueException JobsDiffer(string replay, int ranks, int original) =>
        new("MYS140", string.Create(CultureInfo.InvariantCulture, $"the run is of a job of {ranks} ranks, and the capture of {original}"),
            replay, "compare a run with the capture that its benchmark was made of");
}
