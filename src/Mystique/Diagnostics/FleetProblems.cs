using System.Globalization;

namespace Mystique.Diagnostics;

/// <content>Catalogues of fleets, and their suites.</content>
internal static partial class Problems
{
    public static MystiqueException NoFleet(string path) =>
        new("MYS501", "there is no catalogue of a fleet", path, "make one with mystique fleet add FLEET PATH…, or check the path");

    public static MystiqueException FleetOfAnotherVersion(string path, string version) =>
        new("MYS502", $"the catalogue is of another version: {version}", path,
            "use the mystique that made it, or add the traces to a new catalogue");

    public static MystiqueException FleetDamaged(string path, string why) =>
        new("MYS503", $"a part of the catalogue cannot be read: {why}", path,
            "take that file away, and add its traces again: nothing else is lost");

    public static MystiqueException FleetUnwritable(string path, Exception cause) =>
        new("MYS504", $"the catalogue cannot be written: {FirstSentence(cause)}", path,
            "check permissions and free space; what was in it is still there", inner: cause);

    public static MystiqueException FleetInputsNone(string path) =>
        new("MYS505", "there is no trace, capture or profile", path, "name traces, captures, profiles, Chakra files, or folders of them");

    public static MystiqueException FleetWeightsInvalid(string path, long row, string why) =>
        new("MYS506", $"the weights are invalid: {why}", string.Create(CultureInfo.InvariantCulture, $"{path}, row {row}"),
            "a row has path or job, and accelerator_hours from 0 on; date (2026-11-27) and labels if you like: docs/fleet.md");

    public static MystiqueException FleetWeightsUnused(string path, int count, string first) =>
        new("MYS507", string.Create(CultureInfo.InvariantCulture,
            $"{count:N0} rows of the weights are of nothing that is added; the first: {first}"),
            path, "correct the paths (absolute, or from the file's folder on) or jobs, or take these rows out");

    public static MystiqueException FleetQueryInvalid(string why) =>
        new("MYS508", $"the query cannot be run: {why}", "the query",
            "ask with one SELECT over rows and operators: nothing can be written");

    public static MystiqueException FleetEmpty(string path, string why) =>
        new("MYS509", $"no suite can be made of the catalogue: {why}", path, "add traces, or weights to all of them");

    public static MystiqueException SuiteInvalid(string path, string why) =>
        new("MYS510", $"the suite is invalid: {why}", path, "make the suite again with mystique fleet suite");

    public static MystiqueException SuiteChanged(string path, string member) =>
        new("MYS511", $"the suite's benchmark {member} is not the one that was selected", path,
            "copy the suite again, or make it again with mystique fleet suite");

    public static MystiqueException SuiteRunsDiffer(string why) =>
        new("MYS512", $"the two runs cannot be compared: {why}", "the runs",
            "run one suite on both sides: mystique suite run SUITE -o RUN.json");

    public static MystiqueException FleetMustUnknown(string must) =>
        new("MYS513", $"nothing in the catalogue is {must}", "--must",
            "name an operator (op:aten::mm), a job (job:NAME) or a label (NAME=VALUE)");

    public static MystiqueException SuiteMemberLost(string path, string why) =>
        new("MYS514", $"no benchmark can be made of a trace that was selected: {why}", path,
            "put the trace back to where it was when it was added, or add it again");

    public static MystiqueException LauncherFailed(string launcher, string why) =>
        new("MYS515", $"the shards could not be started with {launcher}: {why}", "--launcher",
            "check that sbatch is there and takes jobs, or use --launcher local");

    public static MystiqueException BudgetTooSmall(string duration) =>
        new("MYS516", $"even the smallest suite takes about {duration}", "--budget",
            "give more time, or fewer --must");
}
