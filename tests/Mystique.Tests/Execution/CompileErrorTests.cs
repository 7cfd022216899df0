using Mystique.Execution.Workers;

namespace Mystique.Tests.Execution;

public class CompileErrorTests
{
    [Fact]
    public void Find_LastWordsOfLibtorch_NamesLineAndReason()
    {
        const string Text = """
            terminate called after throwing an instance of 'torch::jit::ErrorReport'
              what():
            aten::relu(Tensor self) -> Tensor:
            Expected at most 1 argument(s) but found 2 argument(s).
            :
              File "code/__torch__.py", line 27
                s = self.slots
                t1 = ops.aten.relu(t0, 3)
                     ~~~~~~~~~~~~~ <--- HERE
            """;
        Assert.Equal(new CompileError(27, "aten::relu(Tensor self) -> Tensor"), CompileError.Find(Text));
    }

    [Fact]
    public void Find_OtherLastWords_IsNone() =>
        Assert.Null(CompileError.Find("terminate called after throwing an instance of 'std::bad_alloc'"));
}
