using System.Text;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Tests.Traces.Kineto;

/// <summary>Waits of streams, and devices, as profiles have them.</summary>
public sealed class StreamWaitTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private KinetoProfile Read(params string[] events)
    {
        string path = Path.Combine(_folder, "p.json");
        File.WriteAllText(path, $"{{\"traceEvents\": [{string.Join(",", events)}]}}", new UTF8Encoding(false));
        return KinetoReader.Read(path);
    }

    private static string Event(string name, string category, double at, string arguments, int process = 5) =>
        $"{{\"ph\": \"X\", \"cat\": \"{category}\", \"name\": \"{name}\", \"pid\": {process}, \"tid\": 1, \"ts\": {at}, \"dur\": 1, "
        + $"\"args\": {{{arguments}}}}}";

    private static string Wait(double at, string arguments, string name = "Stream Wait Event") => Event(name, "cuda_sync", at, arguments);

    private const string Operator = "{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::relu\", \"pid\": 5, \"tid\": 1, \"ts\": 1000, "
        + "\"dur\": 9, \"args\": {}}";

    private const string Full = "\"stream\": 13, \"wait_on_stream\": 7, \"wait_on_cuda_event_record_corr_id\": 40, \"correlation\": 41, "
        + "\"device\": 2";

    [Fact]
    public void AWaitOfAStream_IsNoEvent()
    {
        var profile = Read(Operator, Wait(1005, Full));
        Assert.Equal(new KinetoStreamWait(5_000, 2, new StreamId(13), new StreamId(7), 41, 40), Assert.Single(profile.StreamWaits!));
        Assert.Single(profile.Events);
        Assert.Empty(profile.Warnings);
    }

    [Fact]
    public void WithoutSuchEvents_NothingIsKnown() => Assert.Null(Read(Operator).StreamWaits);

    /// <summary>Waits of the host are there, so those of streams would be; what does not say for which stream is none.</summary>
    [Theory]
    [InlineData(Full, "Event Sync")]
    [InlineData("\"stream\": -1, \"correlation\": 41", "Context Sync")]
    [InlineData("\"stream\": 13, \"correlation\": 41, \"wait_on_stream\": -1", "Stream Wait Event")]
    [InlineData("\"stream\": 13, \"correlation\": 41", "Stream Wait Event")]
    [InlineData("\"wait_on_stream\": 7, \"correlation\": 41", "Stream Wait Event")]
    public void OtherWaits_AreNone(string arguments, string name) => Assert.Empty(Read(Operator, Wait(1005, arguments, name)).StreamWaits!);

    [Fact]
    public void AnEventThatIsNotSaid_IsNotKnown()
    {
        var profile = Read(Operator, Wait(1005, "\"stream\": 13, \"wait_on_stream\": 7, \"wait_on_cuda_event_record_corr_id\": -1"));
        Assert.Null(Assert.Single(profile.StreamWaits!).RecordCorrelation);
    }

    /// <summary>Ranks number their calls alike: a wait is of the process that called just then.</summary>
    [Fact]
    public void OfSeveralProcesses_EachHasItsOwn()
    {
        var profile = Read(Operator, Operator.Replace("\"pid\": 5", "\"pid\": 6", StringComparison.Ordinal),
            Event("cudaStreamWaitEvent", "cuda_runtime", 1005, "\"correlation\": 41"),
            Event("cudaStreamWaitEvent", "cuda_runtime", 1008, "\"correlation\": 41", 6), Wait(1005, Full), Wait(1008, Full));
        Assert.Equal(5_000, Assert.Single(profile.Of(5).StreamWaits!).AtNs);
        Assert.Equal(8_000, Assert.Single(profile.Of(6).StreamWaits!).AtNs);
    }

    /// <summary>The device of work is the argument; else the process, which is the device there.</summary>
    [Theory]
    [InlineData("\"stream\": 7, \"device\": 3", 3)]
    [InlineData("\"stream\": 7", 5)]
    [InlineData("\"stream\": 7, \"device\": -1", 5)]
    public void Device_IsTheArguments(string arguments, long device) =>
        Assert.Equal(device, Assert.Single(Read(Event("k", "kernel", 1000, arguments)).Events).Process);
}
