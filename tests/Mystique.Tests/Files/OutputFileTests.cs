using System.Text;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Tests.Files;

/// <summary>An output is a file's contents, and nothing else of it changes; it is never what was read.</summary>
public sealed class OutputFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string In(string name) => Path.Combine(_folder, name);

    private static void Write(string path, string text) => OutputFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public async Task Write_OverAFileOrALink_KeepsTheModeAndWhatTheLinkLeadsTo()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs links and modes");
        File.WriteAllText(In("real"), "old");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(In("real"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.CreateSymbolicLink(In("link"), "real");
        Write(In("link"), "new");
        Assert.Equal("old", File.ReadAllText(In("real")));
        Write(In("real"), "newer");
        Assert.Equal("newer", await OutputFile.MakeAsync(In("link"), made =>
        {
            File.WriteAllText(made, "newest");
            return Task.FromResult(File.ReadAllText(In("real")));
        }));
        Assert.Equal("newest", File.ReadAllText(In("link")));
        foreach (string file in (string[])[In("real"), In("link")])
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal(2, Directory.GetFileSystemEntries(_folder).Length);
    }

    [Fact]
    public async Task Write_IntoAPipe_IsReadAtItsOtherEnd()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs mkfifo");
        string pipe = In("pipe");
        await System.Diagnostics.Process.Start("mkfifo", [pipe]).WaitForExitAsync(TestContext.Current.CancellationToken);
        var reading = Task.Run(() => File.ReadAllText(pipe), TestContext.Current.CancellationToken); // To open it waits for the other end.
        Write(pipe, "text");
        Assert.Equal("text", await reading);
        reading = Task.Run(() => File.ReadAllText(pipe), TestContext.Current.CancellationToken);
        await OutputFile.MakeAsync(pipe, made =>
        {
            File.WriteAllText(made, "made");
            return Task.FromResult(0);
        });
        Assert.Equal("made", await reading);
        Assert.Equal("a pipe", PlainFile.KindOf(pipe));
        Write("/dev/null", "text");
        Assert.Equal("a device", PlainFile.KindOf("/dev/null"));
    }

    [Fact]
    public async Task Write_OverWhatWasRead_IsRefused()
    {
        File.WriteAllText(In("input"), "mine");
        using (PlainFile.Open(In("input")))
        {
        }
        Assert.Equal("MYS305", Assert.Throws<MystiqueException>(() => Write(In("input"), "x")).Id);
        Assert.Equal("MYS305", (await Assert.ThrowsAsync<MystiqueException>(() =>
            OutputFile.MakeAsync(In("input"), _ => Task.FromResult(0)))).Id);
        Assert.Equal("mine", File.ReadAllText(In("input")));
    }
}
