using System.Globalization;

namespace Mystique.Diagnostics;

/// <summary>Every failure that a user can meet, in one place: ids are stable and never used again.</summary>
internal static partial class Problems
{
    private const string NewestSchema = "1.1.1-chakra.0.0.4";
    /// <summary>A worker's last words are in so many lines.</summary>
    private const int KeptLines = 5;

    internal const string TooLargeId = "MYS125";
    private const string CaptureHint =
        "capture one with torch.profiler.ExecutionTraceObserver, or try `mystique demo`, which makes its own";

    // MYS1xx: traces.

    public static MystiqueException TraceNotFound(string path) =>
        new("MYS101", "there is no such file", path, "check the path; `-` reads standard input");

    public static MystiqueException TraceIsDirectory(string path) =>
        new("MYS102", "this is a directory, not an execution trace", path, "name a trace file in it, for example rank-0.et.json.gz");

    public static MystiqueException TraceUnreadable(string path, Exception cause) =>
        new("MYS103", $"the file cannot be read: {cause.Message}", path, "check the file's permissions and its disk",
            inner: cause);

    public static MystiqueException TraceEmpty(string source) =>
        new("MYS104", "the file is empty", source, CaptureHint);

    public static MystiqueException TraceNotJson(string source, long offset, Exception cause) =>
        new("MYS105", $"the file is not JSON: {FirstSentence(cause)}", At(source, offset), CaptureHint, inner: cause);

    public static MystiqueException TraceNotAnExecutionTrace(string source, string why) =>
        new("MYS106", $"the file is not an execution trace: {why}", source, CaptureHint);

    /// <summary>The id of <see cref="TraceIsKinetoProfile"/>.</summary>
    public const string KinetoProfileId = "MYS107";

    public static MystiqueException ProfileHasNoShapes(string path) =>
        new("MYS143", "the profile does not tell what operators were called with, so that no benchmark can be made of it", path,
            "record it with record_shapes=True, better with profile_memory=True and with_stack=True, too; or capture the job");

    public static MystiqueException SelectionInvalid(string selection, int at, string why) =>
        new("MYS206", $"the selection is invalid: {why}", string.Create(CultureInfo.InvariantCulture, $"{selection}, character {at}"),
            "docs/control.md has the conditions: label:*attention* and not phase:backward is one");

    public static MystiqueException SelectionOfNothing(string source, string selection, string nearest) =>
        new("MYS207", $"the selection {selection} catches no operator", source, nearest.Length == 0
            ? "look at the names with mystique inspect" : $"did you mean {nearest}?");

    public static MystiqueException ScriptOfRanks(string path) =>
        new("MYS213", "of a job of several ranks there is no script", path, "name one rank's trace or capture, or a package with --output");

    public static MystiqueException PartOfPackage(string path) =>
        new("MYS212", "of a package no part can be taken: it has no labels, and no other operators than it runs", path,
            "generate another package of the trace, with --select or --without");

    public static MystiqueException NoLibTorch(string option) =>
        new("MYS240", "this build of the command has no libtorch", option,
            "use --engine python, or install the .NET tool or the tarball, which have it (docs/install.md)");

    public static MystiqueException NoOpenSsl(string option) =>
        new("MYS241", "this machine has no OpenSSL, whose random numbers are needed", option, "install libssl, or run it elsewhere");

    public static MystiqueException RecipeInvalid(string where, string what, string fix) =>
        new("MYS220", $"the recipe is invalid: {what}", where, fix);

    public static MystiqueException CompositionOfRanks(string source) =>
        new("MYS221", "ranks that call each other cannot be composed", source, "compose one rank's trace or capture (rank-N) instead");

    public static MystiqueException MixInvalid(string path, string why) =>
        new("MYS222", $"the mix is invalid: {why}", path, "make it again with mystique compose");

    public static MystiqueException HiddenProblem(string id) =>
        new("MYS224", $"the recording cannot be read ({id}); why names what is the job's own", "the input",
            "without --anonymise the reason is written");

    public static MystiqueException MixOption(string path, string options) =>
        new("MYS225", $"a mix runs without {options}", path, "omit it, or make the mix of parts that are so already");

    public static MystiqueException NothingChanged(string source) =>
        new("MYS223", "the changed benchmark is the same as the unchanged one", source,
            "name a change that its operators have: --drop, --dtype, --speed, or a table with --substitutions");

    public static MystiqueException SpeedInvalid(string text) =>
        new("MYS230", "a speed is written SELECTION=FACTORx, with a factor above 0", text, "for twice as fast: --speed 'op:aten::mm=2x'");

    public static MystiqueException DtypeInvalid(string text) =>
        new("MYS232", "another type is written SELECTION=TYPE, with bfloat16, float16, float32 or float64", text,
            "for products in bfloat16: --dtype 'op:aten::mm or op:aten::addmm=bfloat16'");

    public static MystiqueException DtypeFails(string name, string type, string reason) =>
        new("MYS233", $"{name} does not run in {type} here: {reason}", "--dtype", "choose other operators, or another type");

    public static MystiqueException SpeedOnDevice(string device) =>
        new("MYS231", "another speed of operators is a wait of the host, and the device works on its own", device,
            "ask with --drop what they are worth at most, or measure with --device cpu");

    public static MystiqueException CapturesDiffer(string where, string how) =>
        new("MYS226", $"the captures differ in more than the parameter: {how}", where,
            "capture one job twice, with another value of one parameter and nothing else changed");

    public static MystiqueException NotExplained(string where, string what, string target) =>
        new("MYS227", $"the parameter does not explain {what}: nothing follows for {target}", where,
            "ask for another value, or capture the job at values that are further apart");

    public static MystiqueException ScaledInconsistent(string where, string how) =>
        new("MYS228", $"the scaled benchmark is not consistent: {how}", where,
            "capture the job at another pair of values; if it stays, please report it");

    public static MystiqueException OneCapture(string parameter) =>
        new("MYS229", $"one capture does not tell what depends on {parameter}", "the inputs",
            $"capture the job once more with another {parameter}: mystique capture -o JOB2 -- python train.py …");

    public static MystiqueException CaptureTracesUnusable(string path, string why) =>
        new("MYS144", $"the capture traces cannot be used: {why}", path,
            "name the folder that the serving engine wrote while it captured its graphs (capture_traces), or omit it");

    public static MystiqueException TraceIsKinetoProfile(string source) =>
        new(KinetoProfileId, "the file is a Kineto profile (it has traceEvents), not an execution trace", source,
            "use the execution trace that was captured with it (usually *.et.json), or open it with an engine (Engine.Open)");

    public static MystiqueException TraceSchemaUnknown(string source, string version) =>
        new("MYS108", $"the trace's schema version \"{version}\" is not supported: 1.0.1 to {NewestSchema} are", source,
            "use a newer version of mystique, or check that the file is an execution trace");

    public static MystiqueException TraceGzipDamaged(string source, Exception cause) =>
        new("MYS109", $"the gzip stream is damaged or cut short: {FirstSentence(cause)}", source,
            "copy the file again; or unpack what is left (`zcat FILE > trace.json`) and use that: damaged JSON is read as far as "
                + "it is valid", inner: cause);

    public static MystiqueException TraceDamaged(string source, long offset, string what, int nodes) =>
        new("MYS110", string.Create(CultureInfo.InvariantCulture, $"the file is damaged: {what} ({nodes:N0} nodes can be read)"),
            At(source, offset),
            "omit --strict to use the nodes that can be read, or capture the trace again");

    public static MystiqueException TraceHasNoNodes(string source) =>
        new("MYS111", "the trace has no nodes", source, "check that the observer ran while operators ran");

    public static MystiqueException TraceNodeInvalid(string source, long id, long offset, Exception cause) =>
        new("MYS112", $"{(id < 0 ? "a node" : $"node {id}")} is invalid: {cause.Message}", At(source, offset),
            "capture the trace again; if PyTorch wrote it so, report it with the node's text", inner: cause);

    public static MystiqueException TraceDuplicateId(string source, long id, string first, string second) =>
        new("MYS113", $"two nodes have the id {id}: {first} and {second}", source,
            "omit --strict to use the first of the two, or capture the trace again");

    public static MystiqueException TraceParentMissing(string source, long id, string name, long parent) =>
        new("MYS114", $"the parent {parent} of node {id} ({name}) is missing", source,
            "omit --strict to treat the node as an outermost one, or capture the trace again");

    public static MystiqueException TraceCycle(string source, long id) =>
        new("MYS115", $"the parents of node {id} form a cycle", source,
            "omit --strict to put them below the root, or capture the trace again");

    public static MystiqueException TraceUnpacksTooFar(string source, long ratio) =>
        new("MYS116", $"the file unpacks to more than 1 GB and {ratio} times its size: no trace does", source,
            "if you trust the file, unpack it yourself and use the result");

    public static MystiqueException NoTraces(string where) =>
        new("MYS117", "there is no execution trace", where, CaptureHint);

    public static MystiqueException ConversionImpossible(string source, string why, string fix) =>
        new("MYS142", $"this cannot be converted: {why}", source, fix);

    public static MystiqueException ChakraInvalid(string source, long offset, string why) =>
        new("MYS141", $"the Chakra file is invalid: {why}", At(source, offset), "convert the trace again, or copy the file again");

    public static MystiqueException ProfileUnreadable(string path, Exception cause) =>
        new("MYS118", $"the profile cannot be read: {cause.Message}", path, "check the path and the file's permissions", inner: cause);

    public static MystiqueException ProfileInvalid(string source, string why) =>
        new("MYS119", $"the file is not a Kineto profile: {why}", source, "use a file that torch.profiler exported (export_chrome_trace)");

    public static MystiqueException ProfileOfAnotherJob(string profile, string trace, string why) =>
        new("MYS120", $"the profile is of another job than the trace: {why}", profile,
            $"use a profile that was captured with {trace}");

    public static MystiqueException ReplayOfAnotherJob(string replay, string original, string why) =>
        new("MYS128", $"the replay is of another job than the original: {why}", replay,
            $"compare with a replay of {original}, or two results (mystique run --json) where a difference is what you look for");

    public static MystiqueException CaptureInvalid(string path, Exception cause) =>
        new("MYS121", $"the capture folder is invalid: {FirstSentence(cause)}", path,
            "capture the job again, or copy the whole folder again", inner: cause);

    public static MystiqueException NothingCaptured(string path, string why) =>
        new("MYS122", $"there is no capture: {why}", path, "do what the reason asks for, then capture the job again");

    public static MystiqueException NotAPlainFile(string path, string kind, bool orStandardInput) =>
        new("MYS124", $"the file is not a regular file: it is {kind}", path,
            orStandardInput ? "`-` reads standard input: mystique inspect - < FILE" : "copy its content into a file, and name that file");

    public static MystiqueException TraceTooLarge(string source, Exception cause) =>
        new(TooLargeId, $"the file is larger than a trace may be: {cause.Message}", source,
            "record fewer iterations; if PyTorch wrote it so, report it: docs/trace-format.md lists the limits", inner: cause);

    public static MystiqueException NoBaseline(string source) =>
        new("MYS126", "the original was not measured: there is nothing to compare a replay with", source,
            "use a capture folder: mystique capture -- COMMAND");

    public static MystiqueException CaptureTargetNotEmpty(string path, string what) =>
        new("MYS307", $"the output folder holds something that is not a capture: {what}", path, "name an empty or new folder with -o");

    public static MystiqueException CaptureLost(string work) =>
        new("MYS310", "the recording is gone: the job, or another process, deleted the folder that it was collected in", work,
            "name a folder with -o whose surroundings no other process deletes");

    /// <summary>What went wrong with a capture after its job had ended.</summary>
    public static MystiqueException AfterJob(string path, Exception cause) => cause switch
    {
        MystiqueException problem => problem,
        IOException or UnauthorizedAccessException => OutputUnwritable(path, cause),
        _ => new("MYS311", $"the job ran, but its capture failed: {cause.GetType().Name}: {FirstSentence(cause)}", path,
            "capture the job again; if that fails too, report it with this message", inner: cause),
    };

    public static MystiqueException JobNotStarted(string program, Exception cause) =>
        new("MYS417", $"the job cannot be started: {FirstSentence(cause)}", program, "check the command after --", inner: cause);

    public static MystiqueException ResultInvalid(string path, Exception cause) =>
        new("MYS123", $"the file is not a result of mystique run: {FirstSentence(cause)}", path,
            "use a file that `mystique run --json FILE` or `run.py --json FILE` of this version wrote", inner: cause);

    public static MystiqueException JobNotApart(string program) =>
        new("MYS418", "the job is not separated from the options", program, $"put -- in front of it: mystique capture -- {program} …");

    // MYS2xx: selection and planning.

    public static MystiqueException IterationMissing(string source, long number, IEnumerable<long> known)
    {
        string list = string.Join(", ", known);
        return new("MYS201", $"the trace has no iteration {number}", source,
            list.Length == 0 ? "omit --iteration: the trace marks no iterations (ProfilerStep#)" : $"use one of {list}, or all");
    }

    public static MystiqueException NothingSelected(string source) =>
        new("MYS202", "the selection has no operators", source,
            "select another iteration, or check that the observer ran while the job did");

    public static MystiqueException NothingToReplay(string source, string? firstReason) =>
        new("MYS203", "none of the selected operators can be replayed" + (firstReason is null ? "" : $"; the first is {firstReason}"),
            source, "select another part of the trace; `mystique inspect` lists the reasons");

    public static MystiqueException NoFrameworkLevel(string source, string why) =>
        new("MYS211", $"there is no framework's level: {why}", source, "use --level operator, or leave --level out");

    public static MystiqueException NoSuchSetting(string name) =>
        new("MYS427", $"there is no setting {name} to pin", "--pin", "docs/hosts.md lists the settings; attention=flash is one of them");

    public static MystiqueException FrameworkFailed(string source, string why) =>
        new("MYS426", $"the framework's level does not run here: {why}", source, "use --level operator", ExitCode.ReplayFailed);

    public static MystiqueException RanksDiffer(int first, int other, string name) =>
        new("MYS208", string.Create(CultureInfo.InvariantCulture, $"rank {other} does not run what rank {first} runs"), name,
            "generate a package for each rank: mystique generate JOB/rank-N");

    public static MystiqueException TableUnreadable(string path, Exception cause) =>
        new("MYS204", $"the table cannot be read: {cause.Message}", path, "check the path and the file's permissions", inner: cause);

    public static MystiqueException TableInvalid(string source, int line, string why) =>
        new("MYS205", $"the table is invalid: {why}", string.Create(CultureInfo.InvariantCulture, $"{source}, line {line}"),
            "docs/values.md describes the rows");

    public static MystiqueException BenchLineInvalid(string source, int line, string text) =>
        new("MYS209", $"the list of workloads is invalid: {text.Trim()}",
            string.Create(CultureInfo.InvariantCulture, $"{source}, line {line}"),
            "a line is NAME: COMMAND ARGUMENT …, or example NAME, where NAME is a workload of mystique demo");

    public static MystiqueException PlatformLineInvalid(string source, int line, string why) =>
        new("MYS210", $"the list of platforms is invalid: {why}", string.Create(CultureInfo.InvariantCulture, $"{source}, line {line}"),
            "a line is NAME: [VARIABLE=VALUE …] PYTHON [--device D] [--threads N] [--flags recorded or target]");

    // MYS3xx: packages and output.

    public static MystiqueException ManifestInvalid(string path, Exception cause) =>
        new("MYS301", $"the manifest is invalid: {FirstSentence(cause)}", path, "generate the package again", inner: cause);

    public static MystiqueException PackageVersionUnknown(string path, int version, int oldest, int known) =>
        new("MYS302", $"the package's format version {version} is not supported: {oldest} and {known} are", path,
            "use the version of mystique that wrote it, or generate the package again");

    public static MystiqueException PackageDisagrees(string path, string why) =>
        new("MYS303", $"the package's manifest and program disagree: {why}", path,
            "generate the package again, or copy the whole folder again");

    public static MystiqueException OutputNotEmpty(string directory, string what) =>
        new("MYS304", $"the output folder holds something that is not a package: {what}", directory, "name an empty or new folder");

    public static MystiqueException OutputUnwritable(string path, Exception cause) =>
        new("MYS305", $"the output cannot be written: {cause.Message}", path,
            "check that the folder exists, is writable and has free space", inner: cause);

    public static MystiqueException PackageUnreadable(string path, Exception cause) =>
        new("MYS306", $"the package cannot be read: {cause.Message}", path, "copy the whole package again", inner: cause);

    public static MystiqueException NotAPackage(string path, string why) =>
        new("MYS314", $"there is no package: {why}", path,
            "name the folder of a package; mystique generate TRACE -o FOLDER makes one");

    public static MystiqueException NoTemporaryFolder(string path, Exception cause) =>
        new("MYS308", $"temporary files cannot be written: {FirstSentence(cause)}", path,
            "set TMPDIR to a folder that exists, is writable and has free space",
            inner: cause);

    public static MystiqueException PackageForbidden(string path, string why) =>
        new("MYS309", $"the package does what a benchmark may not: {why}", path,
            "do not run it: no version of mystique writes such a package");

    // MYS4xx: engines and workers.

    public static MystiqueException NativeLibraryMissing(string path, Exception? cause) =>
        new("MYS401", "libtorch cannot be loaded" + (cause is null ? ": TorchSharp's library is missing"
            : $": {FirstSentence(cause)}"), path,
            "build again (`dotnet build`) on this machine: the build bundles libtorch", ExitCode.ReplayFailed, cause);

    public static MystiqueException OtherLibTorchMissing(string path) =>
        new("MYS420", "there is no libtorch in the folder of --libtorch", path,
            "name the folder with PyTorch's libraries, for example site-packages/torch/lib", ExitCode.ReplayFailed);

    public static MystiqueException NativeLibraryNotPatched(string path, Exception cause) =>
        new("MYS402", "TorchSharp's library needs a newer libstdc++ than this machine's, and could not be patched: " + FirstSentence(cause),
            path,
            "run once as a user who may write to that folder, or install GCC 13's libstdc++", ExitCode.ReplayFailed, cause);

    public static MystiqueException TooLarge(string source, long needed, long largest, long available) =>
        new("MYS403", $"the replay needs {Gigabytes(needed)} of memory (the largest tensor {Gigabytes(largest)}), and "
            + $"{Gigabytes(available)} are available",
            source, "use a machine with more memory, select a smaller part of the trace (--iteration), or shrink embedding tables "
                + "(--scale-memory)");

    public static MystiqueException OperatorCannotRun(string source, long node, string name, string reason, int count) =>
        new("MYS404", $"{count} operator{(count == 1 ? "" : "s")} cannot be replayed; the first is {name}: {reason}",
            $"{source}, node {node}",
            "omit --strict to replay the others; `mystique inspect` lists all reasons");

    public static MystiqueException ProfileHasNoOperators(string path, string warnings) =>
        new("MYS127", $"the profile has no operators that can be used{(warnings.Length == 0 ? "" : $": {warnings}")}", path,
            "record a profile with the activity CPU, with torch.profiler, and copy the whole file");

    public static MystiqueException PackageMadeWrong(string source, string why, Exception cause) =>
        new("MYS313", $"the package that was made cannot be read, and was not written: {why}", source,
            "report it with this message and the trace", ExitCode.ReplayFailed, cause);

    public static MystiqueException RanDifferently(string source, int count, string? node, string what) =>
        new("MYS422", $"the replay has {count} difference{(count == 1 ? "" : "s")} from the recording; the first is {what}",
            node is null ? source : $"{source}, node {node}", "omit --strict to accept the result; it lists all differences",
            ExitCode.ReplayFailed);

    public static MystiqueException WorkerDied(string source, string stage, string how, string standardError) =>
        new("MYS405", $"the worker process ended while {stage}: {how}", source,
            "if it was killed, free memory or select a smaller part of the trace; otherwise report it with this message",
            ExitCode.ReplayFailed, details: LinesOf(standardError).TakeLast(KeptLines));

    public static MystiqueException WorkerTimedOut(string source, string stage, string how) =>
        new("MYS406", $"the worker process was stopped while {stage}: {how}", source, "allow more time with --timeout SECONDS",
            ExitCode.ReplayFailed);

    public static MystiqueException WorkerFailed(string source, string stage, string why) =>
        new("MYS407", $"the replay failed while {stage}: {LinesOf(why).FirstOrDefault("no reason was given")}", source,
            "report it with this message and the trace", ExitCode.ReplayFailed, details: LinesOf(why).Skip(1));

    /// <summary>A problem that a worker met, of <see cref="PartsOf"/>; a worker in Python may say what is wrong in several lines.</summary>
    public static MystiqueException OfParts(
        string id, string what, string where, string fix, IEnumerable<string> details, ExitCode exitCode) =>
        new(id, LinesOf(what).FirstOrDefault(""), where, fix, exitCode, details: [.. LinesOf(what).Skip(1), .. details]);

    /// <summary>What a worker tells of a problem: its id, what, where, the fix, and what there are of details.</summary>
    public static string[] PartsOf(MystiqueException problem) =>
        [problem.Id, problem.What, problem.Where, problem.Fix, .. problem.Details];

    public static MystiqueException OperatorLibraryNotLoaded(string path, Exception cause) =>
        new("MYS408", $"the library of operators cannot be loaded: {FirstSentence(cause)}", path,
            "check the path, and that the library was built for this libtorch (`mystique run` prints its version)", inner: cause);

    public static MystiqueException DeviceMissing(string device, string engine) =>
        new("MYS411", $"there is no device {device} for {engine}", "--device",
            "use cpu, or --engine python with a PyTorch that has the device");

    public static MystiqueException WorkerNotStarted(string program, Exception cause) =>
        new("MYS414", $"the program {program} cannot be started: {FirstSentence(cause)}", program,
            "check the path; --python names the Python to use", inner: cause);

    public static MystiqueException WorkerProgramMissing(string path) =>
        new("MYS419", "the worker cannot be started: a file is missing", path,
            "publish the application framework-dependent and as a folder: not as a single file, not self-contained",
            ExitCode.ReplayFailed);

    public static MystiqueException NoTimes(string source) =>
        new("MYS413", "the package has no times of the original", source,
            "generate it with --profile or --reference-time, or use --pace none");

    private static string Gigabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:N1} GB");

    private static string[] LinesOf(string text) => text.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string At(string source, long offset) =>
        string.Create(CultureInfo.InvariantCulture, $"{source}, byte {offset:N0} of its text");

    private static string FirstSentence(Exception cause)
    {
        string text = cause.Message;
        int end = text.IndexOf(". ", StringComparison.Ordinal);
        return (end < 0 ? text : text[..end]).TrimEnd('.');
    }
}
