using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Benchmarks;

/// <summary>Traces of any size, made from the examples'.</summary>
internal static partial class SampleTrace
{
    private const string Separator = ",\n    ";

    public static string Find(string name)
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Mystique.slnx")))
            folder = Path.GetDirectoryName(folder);
        return Path.Combine(folder ?? throw new InvalidOperationException("run it from a folder below the repository"), "examples",
            "traces", $"{name}.et.json.gz");
    }

    /// <summary>The text of an example, its operators over and over with new ids, until it is at least as long as asked for.</summary>
    public static string Repeat(string name, int characters)
    {
        using var gzip = new GZipStream(File.OpenRead(Find(name)), CompressionMode.Decompress);
        string text = new StreamReader(gzip, Encoding.UTF8).ReadToEnd();
        int start = text.IndexOf("    {", text.IndexOf("\"nodes\"", StringComparison.Ordinal), StringComparison.Ordinal);
        int end = text.LastIndexOf("\n  ]", StringComparison.Ordinal);
        string[] nodes = text[start..end].Split(Separator);
        var result = new StringBuilder(text[..end]);
        // The roots of the process (1) and of its thread (2) stay the only ones.
        string copied = string.Join(Separator, nodes.Where(n => !n.Contains("\"id\": 1,", StringComparison.Ordinal)
            && !n.Contains("\"id\": 2,", StringComparison.Ordinal)));
        for (long copy = 1; result.Length < characters; copy++)
        {
            long offset = copy * 1_000_000;
            result.Append(Separator).Append(NodeIds().Replace(copied.TrimStart(), m => m.Groups[2].Length == 1
                && m.Groups[2].ValueSpan[0] <= '2'
                ? m.Value : $"{m.Groups[1].Value}{long.Parse(m.Groups[2].ValueSpan) + offset}"));
        }
        return result.Append(text[end..]).ToString();
    }

    public static ExecutionTrace Read(string name, int characters) =>
        TraceReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(Repeat(name, characters))), name);

    [GeneratedRegex("""("id": |"ctrl_deps": )(\d+)""")]
    private static partial Regex NodeIds();
}
