using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Mystique.Packaging;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Cli.Tests;

/// <summary>run.py makes the same data as the engine in process, bit by bit.</summary>
public sealed class PythonValuesTests : IDisposable
{
    private const string Script =
        """
        import hashlib, importlib.util, json, sys, torch
        spec = importlib.util.spec_from_file_location('run', sys.argv[1])
        run = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(run)
        for case in json.load(open(sys.argv[2])):
            memory = torch.full((case['bytes'],), 255, dtype=torch.uint8)
            run.fill(memory, case['init'], case['storage'], case['seed'])
            print(hashlib.sha256(memory.numpy().tobytes()).hexdigest())
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static Initializer Of(InitializerKind kind, ScalarType type, double low, double high, double parameter = 0) =>
        new(kind, type, low, high, parameter);

    private static IEnumerable<(Initializer Initializer, long Elements)> Cases()
    {
        // More elements than are drawn from one place on (65,536), and few.
        foreach (long n in (long[])[0, 1, 7, 70_001])
        {
            foreach (var type in (ScalarType[])[ScalarType.Half, ScalarType.Float, ScalarType.Double, ScalarType.BFloat16,
                ScalarType.ComplexFloat, ScalarType.ComplexDouble])
                yield return (Of(InitializerKind.Uniform, type, 0.3, 1.7), n);
            foreach (var type in (ScalarType[])[ScalarType.Byte, ScalarType.Char, ScalarType.Short, ScalarType.Int, ScalarType.Long,
                ScalarType.Bool])
                yield return (Of(InitializerKind.Uniform, type, 0, 2), n);
            yield return (Of(InitializerKind.Uniform, ScalarType.Long, -3, 1_000_003), n);
            yield return (Of(InitializerKind.Constant, ScalarType.Float, 0.1, 0.1), n);
            yield return (Of(InitializerKind.Constant, ScalarType.BFloat16, 0.1, 0.1), n);
            yield return (Of(InitializerKind.Constant, ScalarType.ComplexFloat, 0.1, 0.1), n);
            yield return (Of(InitializerKind.Constant, ScalarType.Long, 5, 5), n);
            yield return (Of(InitializerKind.Constant, ScalarType.Int, 0, 0), n);
            yield return (Of(InitializerKind.Ramp, ScalarType.Int, 0, 1_000), n);
            yield return (Of(InitializerKind.Ramp, ScalarType.Long, 0, 3_000_000_000), n);
            yield return (Of(InitializerKind.Offsets, ScalarType.Long, 0, 500), n);
            yield return (Of(InitializerKind.Mask, ScalarType.Bool, 0, n / 3), n);
            yield return (Of(InitializerKind.Mask, ScalarType.Float, 0, n / 2), n);
            yield return (Of(InitializerKind.CoversRange, ScalarType.Long, 0, 900), n);
            yield return (Of(InitializerKind.Partition, ScalarType.Long, 0, 100_000), n);
            yield return (Of(InitializerKind.Lengths, ScalarType.Long, 0, 20, 1_000), n);
            yield return (Of(InitializerKind.Permutation, ScalarType.Long, 0, 0, 11), n);
            yield return (Of(InitializerKind.Permutation, ScalarType.Int, 0, 0, Math.Max(1, n)), n);
            yield return (Of(InitializerKind.Zipf, ScalarType.Long, 0, 50_000, 1.1), n);
            yield return (Of(InitializerKind.Zipf, ScalarType.Int, 3, 1_000, 1), n);
            yield return (Of(InitializerKind.DiagonallyDominant, ScalarType.Float, 0.1, 0.4, 7), n);
            yield return (Of(InitializerKind.DiagonallyDominant, ScalarType.Double, 0.1, 0.4, 7), n);
        }
        yield return (Of(InitializerKind.Uniform, ScalarType.Long, 0, 1e15), 100);
        yield return (Of(InitializerKind.Recorded, ScalarType.Int, 0, 0) with { Data = [1, 0, 0, 0, 2, 3, 0, 0] }, 2);
    }

    [Fact]
    public unsafe void Fill_EachKindAndType_IsTheSameInPython()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        var cases = Cases().ToArray();
        var expected = new List<string>();
        var json = new List<object>();
        for (int i = 0; i < cases.Length; i++)
        {
            var (rule, elements) = cases[i];
            byte[] bytes = new byte[elements * rule.Type.SizeBytes()];
            fixed (byte* data = bytes)
                SyntheticData.Fill((nint)data, bytes.Length, rule, i, 7, threads: 2);
            expected.Add(Convert.ToHexStringLower(SHA256.HashData(bytes)));
            json.Add(new
            {
                bytes = bytes.Length,
                storage = i,
                seed = 7,
                init = new
                {
                    kind = rule.Kind.ToString().ToLowerInvariant(),
                    dtype = rule.Type.TorchName(),
                    low = rule.Low,
                    high =
                    rule.High,
                    parameter = rule.Parameter,
                    data = Convert.ToBase64String([.. rule.Data])
                },
            });
        }
        string script = Path.Combine(_folder, "run.py");
        string input = Path.Combine(_folder, "cases.json");
        File.WriteAllText(script, RunScript.Text);
        File.WriteAllText(input, JsonSerializer.Serialize(json));
        var (exitCode, output) = Python.Run(Script, script, input);
        string[] actual = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(exitCode == 0 && actual.Length == cases.Length, output);
        Assert.Empty(Enumerable.Range(0, cases.Length).Where(i => actual[i] != expected[i])
            .Select(i => string.Create(CultureInfo.InvariantCulture, $"{cases[i].Initializer} of {cases[i].Elements} elements")));
    }
}
