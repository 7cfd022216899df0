using System.Globalization;
using System.Text;

namespace Mystique.Tests.Traces.Kineto;

/// <summary>Writes small Kineto profiles as PyTorch does. Times are microseconds.</summary>
internal sealed class ProfileText
{
    private readonly List<string> _events = [];

    /// <summary>Adds something on the host.</summary>
    public ProfileText Host(string name, double start, double duration, long id = -1, long thread = 1, string category =
        "cpu_op", string idName = "Record function id") =>
        Add(name, category, thread, start, duration, id < 0 ? ""
            : string.Create(CultureInfo.InvariantCulture, $"\"External id\": {id + 1000}, \"{idName}\": {id}"));

    /// <summary>Adds a call of the runtime.</summary>
    public ProfileText Runtime(string name, double start, double duration, long correlation, long thread = 1) =>
        Add(name, "cuda_runtime", thread, start, duration, string.Create(CultureInfo.InvariantCulture, $"\"correlation\": {correlation}"));

    /// <summary>Adds work on the device.</summary>
    public ProfileText Device(string name, double start, double duration, long correlation, long stream = 7, string category = "kernel",
        long device = 0) =>
        Add(name, category, stream, start, duration,
            string.Create(CultureInfo.InvariantCulture,
            $"\"correlation\": {correlation}, \"stream\": {stream}, \"device\": {device}, \"grid\": [16, 8, 2], \"block\": [64, 1, 1]"));

    /// <summary>
    /// Adds a wait of a stream for another: the event that the host recorded at a time, and its call that made the stream wait. What is
    /// done at a negative time is not in the profile.
    /// </summary>
    public ProfileText Wait(long stream, long onStream, double recorded, double at, long correlation, long device = 0)
    {
        if (recorded >= 0)
            Runtime("cudaEventRecord", recorded, 1, correlation);
        return Runtime("cudaStreamWaitEvent", at, 1, correlation + 1)
            .Add("Stream Wait Event", "cuda_sync", stream, at, 0, string.Create(CultureInfo.InvariantCulture,
                $"\"cuda_sync_kind\": \"Stream Wait Event\", \"wait_on_stream\": {onStream}, \"wait_on_cuda_event_record_corr_id\": "
                + $"{correlation}, \"wait_on_cuda_event_id\": 3, \"stream\": {stream}, \"correlation\": {correlation + 1}, "
                + $"\"device\": {device}, \"context\": 1"));
    }

    /// <summary>Adds a text as it is.</summary>
    public ProfileText Raw(string text)
    {
        _events.Add(text);
        return this;
    }

    public override string ToString() =>
        $"{{\n  \"schemaVersion\": 1, \"deviceProperties\": [{{\"id\": 0}}],\n  \"traceEvents\": [\n{string.Join(",\n", _events)}\n  ], "
        + $"\"traceName\": \"x\"\n}}\n";

    /// <summary>Writes the profile into a file.</summary>
    public string Write(string path)
    {
        File.WriteAllText(path, ToString(), new UTF8Encoding(false));
        return path;
    }

    private ProfileText Add(string name, string category, long thread, double start, double duration, string arguments) =>
        Raw(string.Create(CultureInfo.InvariantCulture,
        $"{{\"ph\": \"X\", \"cat\": \"{category}\", \"name\": \"{name}\", \"pid\": 5, \"tid\": {thread}, \"ts\": "
            + $"{1_689_180_448_563_241 + start}, \"dur\": {duration}, \"args\": {{{arguments}}}}}"));
}
