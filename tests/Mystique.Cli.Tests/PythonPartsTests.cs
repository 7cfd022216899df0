using Mystique.Capture;
using Mystique.Packaging;
using Mystique.Tests.Shared;

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
            var result = Python.RunFile(Path.Combine(Repository.Root, "python", "tests"), null, ["test_device"],
                ("MYSTIQUE_PACKAGES", string.Join(Path.PathSeparator, packages)));
            result.AssertOk();
            Assert.EndsWith(" passed, 0 failed, 0 skipped", result.Output.TrimEnd(), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
