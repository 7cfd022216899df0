using System.Globalization;
using System.Text.Json;

namespace Mystique.Measurement;

/// <summary>What the vendors' tools write of GPUs at some time.</summary>
internal static class GpuTools
{
    /// <summary>
    /// A line of <c>nvidia-smi --query-gpu=index,uuid,mig.mode.current,utilization.gpu,memory.used,power.draw,clocks.sm</c>:
    /// <c>0, GPU-5d2b…, Disabled, 98, 70123, 412.55, 1980</c>, without what the GPU does not tell.
    /// </summary>
    public static IEnumerable<GpuMetrics> OfNvidiaSmi(string text)
    {
        string[] fields = text.Split(',', StringSplitOptions.TrimEntries);
        if (fields.Length != 7 || Number(fields[0]) is not (>= 0 and < 1024 and var index))
            yield break;
        yield return new GpuMetrics((int)index)
        {
            Uuid = fields[1].StartsWith("GPU-", StringComparison.Ordinal) ? fields[1] : null,
            IsPartitioned = fields[2] == "Enabled",
            Utilisation = Number(fields[3]) / 100,
            PeakMemoryBytes = (long?)(Number(fields[4]) * (1 << 20)),
            PowerWatts = Number(fields[5]),
            ClockMegahertz = Number(fields[6]),
        };
    }

    /// <summary>
    /// A line of <c>dcgmi dmon -e 1002,1005</c>: <c>GPU 0 0.731 0.402</c>; heads and what is no GPU tell nothing.
    /// </summary>
    public static IEnumerable<GpuMetrics> OfDcgm(string text)
    {
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 4 && words[0] == "GPU" && Number(words[1]) is >= 0 and < 1024 and var index)
            yield return new GpuMetrics((int)index) { SmActivity = Number(words[2]), MemoryActivity = Number(words[3]) };
    }

    /// <summary>
    /// The output of <c>rocm-smi --showuse --showmeminfo vram --showpower --showclocks --json</c>: an object for each
    /// <c>cardN</c>, whose values are text.
    /// </summary>
    public static IEnumerable<GpuMetrics> OfRocmSmi(string text)
    {
        JsonDocument json;
        try
        {
            json = JsonDocument.Parse(text);
        }
        catch (JsonException)
        {
            yield break;
        }
        using (json)
        {
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                yield break;
            foreach (var card in json.RootElement.EnumerateObject())
            {
                if (!card.Name.StartsWith("card", StringComparison.Ordinal)
                    || Number(card.Name[4..]) is not (>= 0 and < 1024 and var index) || card.Value.ValueKind != JsonValueKind.Object)
                    continue;
                yield return new GpuMetrics((int)index)
                {
                    Utilisation = Of(card.Value, "GPU use (%)") / 100,
                    PeakMemoryBytes = (long?)Of(card.Value, "VRAM Total Used Memory (B)"),
                    PowerWatts = Of(card.Value, "Average Graphics Package Power (W)")
                        ?? Of(card.Value, "Current Socket Graphics Package Power (W)"),
                    ClockMegahertz = Of(card.Value, "sclk clock speed:"), // (1700Mhz)
                };
            }
        }
    }

    private static double? Of(JsonElement card, string name) => card.TryGetProperty(name, out var value)
        && value.ValueKind == JsonValueKind.String
        ? Number(value.GetString()!.Trim('(', ')').Replace("Mhz", "", StringComparison.OrdinalIgnoreCase)) : null;

    private static double? Number(string text) => double.TryParse(text, CultureInfo.InvariantCulture, out double value)
        && double.IsFinite(value) ? value : null;
}
