using Mystique.Replay;
namespace Mystique.Examples;
public sealed class ExampleRunner(string name, int threads) : IIterationRunner
{
    public EngineInfo Info => throw new InvalidOperationException(name + threads);
    public void Start(Action<int, int> progress) { }
    public long RunIteration() => 0;
    public void Observe(string tracePath) { }
    public void Dispose() { }
}
