namespace Mystique.Workloads;

/// <summary>A job that does the same work step after step, like one that trains in production.</summary>
internal interface IWorkload : IDisposable
{
    /// <summary>One step: zero the gradients, forward, loss, backward, optimizer.</summary>
    void Step();
}

/// <summary>The workloads by name.</summary>
internal static class KnownWorkloads
{
    /// <summary>The name of the one that a demo takes if none is named.</summary>
    public const string Default = "resnet18";

    private static readonly SortedDictionary<string, (string Description, Func<IWorkload> Create)> Known = new(StringComparer.Ordinal)
    {
        ["resnet18"] = ("ResNet-18 training step, 4 images of 224 x 224, SGD with momentum", () => new ResNetWorkload()),
        ["gpt"] = ("small GPT training step, 4 layers of width 256, sequences of 128, AdamW", () => new GptWorkload()),
        ["dlrm"] = ("DLRM training step, 8 embedding bags, dot interaction, Adagrad", () => new DlrmWorkload()),
        ["bilstm"] = ("bidirectional LSTM training step, 2 layers, cross entropy, Adam", () => new BiLstmWorkload()),
    };

    /// <summary>Names and what they are.</summary>
    public static IEnumerable<(string Name, string Description)> All => Known.Select(w => (w.Key, w.Value.Description));

    /// <summary>Makes a workload.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static IWorkload Create(string name) => Known.TryGetValue(name, out var workload)
        ? workload.Create()
        : throw new ArgumentException($"there is no workload '{name}'; there are {string.Join(", ", Known.Keys)}", nameof(name));

    /// <summary>Whether there is a workload of that name.</summary>
    public static bool Contains(string name) => Known.ContainsKey(name);
}
