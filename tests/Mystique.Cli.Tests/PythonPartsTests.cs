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
}
