using System.Globalization;
using Mystique.Capture;
using Mystique.Packaging;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;

namespace Mystique.Cli.Tests;

/// <summary>What is linted and tested in Python is what the build embeds.</summary>
public sealed class PythonPartsTests
{
    [Theory]
    [InlineData("run.py")]
    [InlineData("sitecustomize.py")]
    public void Script_AsPythonJoinsIt_IsTheEmbeddedOne(string script)
    {
        Assert.SkipUnless(File.Exists(Python.Executable), "needs python3");
        var result = Python.RunFile(Path.Combine(Repository.Root, "python", "join.py"), script);
        result.AssertOk();
        Assert.Equal(script == RunScript.FileName ? RunScript.Text : HookScript.Text, result.Output);
    }

    /// <summary>Python ignores signals that programs end by, where a pipe's reader has gone for example.</summary>
    [Fact]
    public void Launcher_LeavesNoSignalIgnored()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(Python.Executable), "needs Linux and python3");
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string command = Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "bin")).FullName, "mystique");
            File.WriteAllText(command, "#!/bin/sh\ngrep SigIgn: /proc/self/status\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(command, (UnixFileMode)0b111_101_101);
            string launcher = Path.Combine(folder, "launcher.py");
            File.Copy(Path.Combine(Repository.Root, "python/wheel/launcher.py"), launcher);
            File.AppendAllText(launcher, "\n\nmain()\n");
            var result = Python.RunFile(launcher);
            result.AssertOk();
            const ulong SigPipe = 1UL << (13 - 1), SigXfsz = 1UL << (25 - 1); // As Linux numbers them on x86-64 and arm64.
            ulong ignored = ulong.Parse(result.Output.Split('\t')[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            Assert.Equal(0UL, ignored & (SigPipe | SigXfsz));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Real jobs' packages, on the stand-in of a GPU that the Python tests have.</summary>
    [Fact]
    public void Packages_OnTheStandIn_GoThroughAllBranchesOfADevice()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string[] names = ["tiny", "resnet", "dlrm", "lstm", "gpt", "vit_infer"];
            string[] packages = [.. names.Select(n => Path.Combine(folder, n))];
            foreach (string name in names)
                CommandLine.Run("generate", Repository.SharedTrace($"torch26/{name}.et.json.gz"), "-o", Path.Combine(folder, name))
                    .AssertOk();
            RunDeviceTests(packages);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// A job on two streams: branches that read the same memory, a wait of the host, a write that another stream's read comes before.
    /// </summary>
    [Fact]
    public void PackageOnTwoStreams_OnTheStandIn_HasForkJoinWaitsAndFreesAsRecorded()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string trace = Path.Combine(folder, "two.et.json"), profile = Path.Combine(folder, "two.kineto.json");
            WriteTwoStreams(trace, profile);
            string package = Path.Combine(folder, "two");
            CommandLine.Run("generate", trace, "--profile", profile, "-o", package).AssertOk();
            string manifest = File.ReadAllText(Path.Combine(package, "benchmark.json"));
            Assert.Contains("\"stream\":13", manifest);
            Assert.Contains("\"sync\":true", manifest);
            RunDeviceTests(package);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void RunDeviceTests(params string[] packages)
    {
        var result = Python.RunFile(Path.Combine(Repository.Root, "python", "tests"), null, ["test_device"],
            ("MYSTIQUE_PACKAGES", string.Join(Path.PathSeparator, packages)));
        result.AssertOk();
        Assert.EndsWith(" passed, 0 failed, 0 skipped", result.Output.TrimEnd(), StringComparison.Ordinal);
    }

    private static void WriteTwoStreams(string trace, string profile)
    {
        const string relu = "aten::relu(Tensor self) -> Tensor", add = "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1)"
            + " -> Tensor(a!)";
        (string Schema, int[] In, int Out, int Stream)[] operators =
        [
            (relu, [10], 20, 7), (relu, [20], 30, 13), (relu, [30], 31, 13), // A branch of what the main stream made,
            (relu, [20], 40, 7), (relu, [40], 41, 7), // beside another one that reads the same,
            (add, [41, 31], 41, 7), (relu, [41], 50, 13), // and both together, for the side stream again.
            (add, [20, 41], 20, 7), (relu, [10], 60, 13), (add, [10, 41], 10, 7), // A read comes before a write to what was there before.
            (relu, [50], 70, 13), // Nothing but the iteration's end comes after the side stream's last.
        ];
        var text = TraceText.WithRoots();
        var kineto = new ProfileText().Host("ProfilerStep#3", 0, 2000, 900, category: "user_annotation");
        foreach (var (i, (schema, inputs, output, stream)) in operators.Index())
        {
            TraceText.Value[] given = [.. inputs.Select(On)];
            text.Operator(3 + i, schema, schema == add ? [.. given, 1L] : given, [On(output)]);
            kineto.Host(schema[..schema.IndexOfAny(['(', '.'])], 10 + 100 * i, 50, 3 + i)
                .Runtime("cudaLaunchKernel", 20 + 100 * i, 4, 100 + i).Device("kernel", 30 + 100 * i, 10, 100 + i, stream: stream);
        }
        kineto.Runtime("cudaDeviceSynchronize", 580, 20, 900); // After the sixth.
        File.WriteAllText(trace, text.ToString());
        kineto.Write(profile);

        static TraceText.Value On(int storage) => TraceText.Value.Tensor(storage, storage, [4, 4], device: "cuda:0");
    }
}
