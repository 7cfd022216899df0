using Mystique.Execution.Workers;
using Mystique.Packaging;

namespace Mystique;

/// <summary>
/// The PyTorch of a Python, 1.13 or newer, with whatever devices it has. It runs the script that goes into every package
/// (<c>run.py</c>).
/// </summary>
/// <param name="Python">The Python: a path, or a name that is looked for in <c>PATH</c> (MYS414 where it cannot be started).</param>
public sealed record PythonEngine(string Python = "python3") : Engine
{
    /// <inheritdoc/>
    protected internal override WorkerCommand CreateWorkerCommand() => new(Python, ["--worker"])
    {
        Script = RunScript.Text,
        Environment = new Dictionary<string, string> { ["PYTHONDONTWRITEBYTECODE"] = "1", ["PYTHONUNBUFFERED"] = "1" },
    };
}
