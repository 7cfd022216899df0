using Mystique.Execution.Workers;

namespace Mystique.Tests.Execution;

/// <summary>What the parent makes of a worker that misbehaves; the worker is a shell script.</summary>
public class WorkerClientTests
{
    private static async Task<WorkerException> FailAsync(string script, double timeoutSeconds = 60)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        await using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", script]), TimeSpan.FromSeconds(timeoutSeconds));
        return await Assert.ThrowsAsync<WorkerException>(() => client.CallAsync(new IterateRequest(1)));
    }

    [Fact]
    public async Task Call_WorkerKilled_SaysSo()
    {
        var exception = await FailAsync("read line; kill -9 $$");
        Assert.Equal(WorkerFailureKind.Died, exception.Kind);
        Assert.Equal("it was killed (SIGKILL), most likely for want of memory", exception.Message);
    }

    [Fact]
    public async Task Call_WorkerAborts_KeepsItsLastWords()
    {
        var exception = await FailAsync("read line; echo 'terminate called' >&2; kill -6 $$");
        Assert.Equal("it aborted", exception.Message);
        Assert.Equal("terminate called", exception.StandardError);
    }

    [Fact]
    public async Task Call_WorkerEndsBeforeTheAnswer_GivesItsExitCode()
    {
        var exception = await FailAsync("read line; echo '{\"kind\":\"progress\",\"done\":3,\"total\":9}'; exit 5");
        Assert.Equal("it ended with exit code 5", exception.Message);
        Assert.Equal(3, exception.LastProgress);
    }

    [Fact]
    public async Task Call_WorkerHangs_IsStopped()
    {
        var exception = await FailAsync("sleep 600", timeoutSeconds: 0.3);
        Assert.Equal(WorkerFailureKind.TimedOut, exception.Kind);
    }

    [Fact]
    public async Task Call_AnswerThatIsInvalid_IsNotWaitedForAgain()
    {
        var exception = await FailAsync("while read line; do echo '{\"kind\":\"result\",\"samplesNs\":[1.5]}'; done");
        Assert.Equal(WorkerFailureKind.Refused, exception.Kind);
        Assert.StartsWith("its answer cannot be read: ", exception.Message);
    }

    [Fact]
    public async Task Call_WorkerRefuses_LivesOn()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        const string Script = "while read line; do echo noise; echo '{\"kind\":\"failure\",\"error\":\"no\"}'; done";
        await using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", Script]), TimeSpan.FromMinutes(1));
        for (int i = 0; i < 2; i++)
        {
            var exception = await Assert.ThrowsAsync<WorkerException>(() => client.CallAsync(new PrepareRequest()));
            Assert.Equal((WorkerFailureKind.Refused, "no"), (exception.Kind, exception.Message));
        }
    }

    /// <summary>Whoever is told of progress may take its time: the worker ends all the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_Cancelled_EndsTheWorkerAtOnce(bool isReporting)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        const string Script = "read line; echo '{\"kind\":\"progress\",\"done\":3,\"total\":9}'; sleep 600";
        await using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", Script]), TimeSpan.FromMinutes(1));
        using var process = System.Diagnostics.Process.GetProcessById(client.Id);
        using var cancellation = new CancellationTokenSource();
        var reported = new TaskCompletionSource();
        using var isOver = new ManualResetEventSlim();
        var progress = new Listener(() =>
        {
            reported.TrySetResult();
            if (isReporting)
                isOver.Wait();
        });
        var call = Task.Run(() => client.CallAsync(new IterateRequest(1), progress, cancellation.Token));
        await reported.Task;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await cancellation.CancelAsync();
        process.WaitForExit();
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        isOver.Set();
        Assert.Equal(cancellation.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call)).CancellationToken);
        await Assert.ThrowsAsync<OperationCanceledException>(() => client.CallAsync(new IterateRequest(1), null, cancellation.Token));
    }

    /// <summary>A request that is larger than a pipe does not wait for a worker that does not read.</summary>
    [Fact]
    public async Task Call_WorkerThatDoesNotRead_IsStopped()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        await using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", "sleep 600"]), TimeSpan.FromSeconds(0.3));
        var exception = await Assert.ThrowsAsync<WorkerException>(() =>
            client.CallAsync(new SchemasRequest([.. Enumerable.Repeat("aten::relu", 100_000)])));
        Assert.Equal(WorkerFailureKind.TimedOut, exception.Kind);
    }

    private sealed class Listener(Action listen) : IProgress<ProgressMessage>
    {
        public void Report(ProgressMessage value) => listen();
    }
}
