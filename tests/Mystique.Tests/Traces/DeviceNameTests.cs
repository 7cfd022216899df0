using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>Names of devices: which of them work on their own.</summary>
public class DeviceNameTests
{
    [Theory]
    [InlineData("cuda:0", true)]
    [InlineData("xpu", true)]
    [InlineData("privateuseone:3", true)]
    [InlineData("cpu", false)]
    [InlineData("cpu:0", false)]
    [InlineData("meta", false)]
    [InlineData("", false)]
    public void IsAccelerator_IsNeitherTheHostNorWithoutMemory(string name, bool expected) =>
        Assert.Equal(expected, DeviceName.IsAccelerator(name));

    [Fact]
    public void AcceleratorOf_IsTheKindOfTheFirst()
    {
        Assert.Equal("xpu", DeviceName.AcceleratorOf(["cpu", "meta", "", "xpu:1", "cuda:0"]));
        Assert.Null(DeviceName.AcceleratorOf(["cpu", "meta"]));
        Assert.Null(DeviceName.AcceleratorOf([]));
    }

    /// <summary>Of a trace, what its operators made tensors on: nodes without a schema do not count.</summary>
    [Fact]
    public void AcceleratorOf_ATrace_IsWhatItsOperatorsUsed()
    {
        var onDevice = TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])],
            [Tensor(20, 21, [4], device: "cuda:0")]).Read();
        Assert.Equal("cuda", DeviceName.AcceleratorOf(onDevice));
        Assert.Equal([3L], onDevice.Operators.Select(o => o.Id));
        Assert.True(onDevice.Nodes.Length > 1);
        Assert.Null(DeviceName.AcceleratorOf(TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor",
            [Tensor(10, 11, [4], device: "cuda:0")], [Tensor(20, 21, [4])]).Read()));
    }
}
