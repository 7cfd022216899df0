using System.Diagnostics;
using System.Net.Sockets;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Files;

/// <summary>What is not a regular file is refused before it is opened: a pipe that nobody writes to would be waited for.</summary>
public sealed class PlainFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-plain-").FullName;

    public PlainFileTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "asks Linux what a file is");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Open_Pipe_IsRefused() => AssertRefused(MakePipe("f"), "a pipe");

    [Fact]
    public void Open_LinkToAPipe_IsRefused() => AssertRefused(File.CreateSymbolicLink(In("link"), MakePipe("f")).FullName, "a pipe");

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    public void Open_Device_IsRefused(string path) => AssertRefused(path, "a device");

    [Fact]
    public void Open_Socket_IsRefused()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(In("s")));
        AssertRefused(In("s"), "a socket");
    }

    [Fact]
    public void Open_PlainFileOrLinkToOne_IsRead()
    {
        File.WriteAllText(In("x"), "text");
        File.CreateSymbolicLink(In("link"), In("x"));
        foreach (string path in (string[])[In("x"), In("link")])
            using (var reader = new StreamReader(PlainFile.Open(path)))
                Assert.Equal("text", reader.ReadToEnd());
    }

    [Fact]
    public void Open_FileThatIsNotThere_SaysSo() => Assert.Throws<FileNotFoundException>(() => PlainFile.Open(In("none")));

    [Fact]
    public void ReadAllBytes_KeepsToItsLimit()
    {
        File.WriteAllBytes(In("x"), new byte[10]);
        Assert.Equal(10, PlainFile.ReadAllBytes(In("x"), 10).Length);
        Assert.Equal(10, PlainFile.ReadAllBytes(In("x"), 100).Length);
        Assert.Throws<IOException>(() => PlainFile.ReadAllBytes(In("x"), 9));
        // Files of the system have no length, and bytes all the same.
        Assert.NotEmpty(PlainFile.ReadAllBytes("/proc/self/status", 1 << 20));
        Assert.Throws<IOException>(() => PlainFile.ReadAllBytes("/proc/self/status", 100));
    }

    /// <summary>Every reader of files that users name goes this way.</summary>
    [Fact]
    public void Readers_OfAPipe_DoNotWait()
    {
        string pipe = MakePipe("trace.json");
        AssertProblem(() => TraceReader.Read(pipe));
        AssertProblem(() => KinetoReader.Read(pipe));
        AssertProblem(() => ValueTable.ReadFile(pipe));
        AssertProblem(() => SubstitutionTable.ReadFile(pipe));
        AssertProblem(() => ResultReader.IsResult(pipe));
        AssertProblem(() => ResultReader.Read(pipe));
        MakePipe(CaptureFolder.RecordFile);
        AssertProblem(() => CaptureFolder.Read(_folder));

        static void AssertProblem(Action action) => Assert.Equal("MYS124", Assert.Throws<MystiqueException>(action).Id);
    }

    [Fact]
    public void Adopt_FolderWithAPipe_PassesItOver()
    {
        string source = Directory.CreateDirectory(In("found")).FullName;
        MakePipe("found/rank-0.et.json");
        File.WriteAllText(Path.Combine(source, "rank-1.et.json"), Shared.TraceText.WithRoots().Node(3, 2, "aten::relu").ToString());
        var imported = RecordingImporter.Import(source, In("out"));
        Assert.Single(imported.Folders);
        Assert.Equal("rank-0.et.json: the file is not a regular file: it is a pipe", Assert.Single(imported.PassedOver));
    }

    private string In(string name) => Path.Combine(_folder, name);

    private string MakePipe(string name)
    {
        using var process = Process.Start("mkfifo", [In(name)]);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return In(name);
    }

    private static void AssertRefused(string path, string kind)
    {
        var problem = Assert.Throws<MystiqueException>(() => PlainFile.Open(path, orStandardInput: true));
        Assert.Equal(("MYS124", $"the file is not a regular file: it is {kind}", ExitCode.BadInput),
            (problem.Id, problem.What, problem.ExitCode));
        Assert.Equal("`-` reads standard input: mystique inspect - < FILE", problem.Fix);
    }
}
