using Mystique.TorchSharp.Native;
using Mystique.Traces.Kineto;
using static TorchSharp.torch;

namespace Mystique.TorchSharp.Tests;

/// <summary>libtorch's profiler, asked for the device's activity where there may be none.</summary>
[Collection("libtorch")]
public sealed class KinetoLibraryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A libtorch without CUDA leaves the device out, and profiles the host as ever.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Profile_WithTheDeviceOrWithout_HasTheHostsOperators(bool withDevice)
    {
        TorchSharpRuntime.Load();
        string path = Path.Combine(_folder, "k.json");
        KinetoLibrary.Enable(withDevice);
        using (var tensor = ones(3))
        using (var sum = tensor + tensor)
            Assert.Equal(2, sum[0].item<float>());
        KinetoLibrary.DisableAndSave(path);
        var profile = KinetoReader.Read(path);
        Assert.Contains(profile.Events, e => e is { Kind: KinetoKind.Operator, Name: "aten::add" });
        Assert.NotEmpty(profile.Allocations);
    }
}
