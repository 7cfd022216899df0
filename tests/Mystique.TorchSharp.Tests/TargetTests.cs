using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using static TorchSharp.torch;

namespace Mystique.TorchSharp.Tests;

/// <summary>The device and the settings that this engine takes, on a libtorch of the host alone.</summary>
[Collection("libtorch")]
public sealed class TargetTests
{
    public TargetTests() => TorchSharpRuntime.Load();

    [Fact]
    public void Devices_WithoutTheRecordedOne_AreTheHost_AndItIsTold()
    {
        var devices = new TargetDevices(["cpu", "cuda:0", "meta"], "");
        Assert.Equal((false, "cpu"), (devices.IsAccelerated, devices.Main.ToString()));
        Assert.Equal(["cpu", "cpu", "meta"], devices.All.Select(d => d.ToString()));
        Assert.Equal(["the trace ran on cuda, this replay on cpu"], devices.Notes);
        Assert.Empty(new TargetDevices(["cpu"], "").Notes);
    }

    [Theory]
    [InlineData("cuda")]
    [InlineData("cuda:1")]
    [InlineData("xpu:0")]
    public void Devices_ThatAreNotThere_AreRefused(string name) =>
        Assert.Equal("MYS411", Assert.Throws<MystiqueException>(() => new TargetDevices(["cuda:0"], name)).Id);

    private static RecordedSettings Recorded(string name, string value) =>
        new(false, ImmutableSortedDictionary<string, string>.Empty.Add(name, value));

    [Fact]
    public void Settings_ThatTorchSharpReaches_AreSetAndTold()
    {
        bool before = backends.cuda.matmul.allow_tf32;
        string other = before ? "false" : "true";
        try
        {
            Assert.Empty(TargetSettings.Apply(Recorded("matmul_allow_tf32", other), isAccelerated: false).Changed); // Nothing to the host.
            Assert.Equal(before, backends.cuda.matmul.allow_tf32);
            var set = TargetSettings.Apply(Recorded("matmul_allow_tf32", other), isAccelerated: true);
            Assert.Equal((other, !before), (set.Changed["matmul_allow_tf32"], backends.cuda.matmul.allow_tf32));
            Assert.Empty(TargetSettings.Apply(Recorded("matmul_allow_tf32", other), isAccelerated: true).Changed); // It is so already.
        }
        finally
        {
            backends.cuda.matmul.allow_tf32 = before;
        }
    }

    /// <summary>What the user decides goes before what was recorded, and reaches the host, too.</summary>
    [Fact]
    public void Settings_ThatAreDecided_AreSet_AndUnknownOnesRefused()
    {
        bool before = backends.cuda.flash_sdp_enabled();
        string other = before ? "false" : "true";
        try
        {
            var set = TargetSettings.Apply(Recorded("flash_sdp", before ? "true" : "false"), isAccelerated: false,
                new Dictionary<string, string> { ["flash_sdp"] = other, ["cudnn_sdp"] = "false" });
            Assert.Equal((other, !before), (set.Changed["flash_sdp"], backends.cuda.flash_sdp_enabled()));
            Assert.Equal(["the engine torchsharp cannot set cudnn_sdp, which is to be false"], set.Notes);
            var refused = Assert.Throws<MystiqueException>(() =>
                TargetSettings.Apply(null, isAccelerated: false, new Dictionary<string, string> { ["nothing"] = "1" }));
            Assert.Equal("MYS427", refused.Id);
        }
        finally
        {
            backends.cuda.enable_flash_sdp(before);
        }
    }

    [Fact]
    public void Settings_ThatItCannotSet_AreTold_UnlessTheySayNothing()
    {
        Assert.Equal(["the engine torchsharp cannot set cudnn_benchmark, which was true"],
            TargetSettings.Apply(Recorded("cudnn_benchmark", "true"), isAccelerated: true).Notes);
        Assert.Empty(TargetSettings.Apply(Recorded("cudnn_benchmark", "false"), isAccelerated: true).Notes);
    }
}
