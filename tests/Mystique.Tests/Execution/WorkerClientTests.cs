using Mystique.Execution.Workers;

namespace Mystique.Tests.Execution;

/// <summary>What the parent makes of a worker that misbehaves; the worker is a shell script.</summary>
public class WorkerClientTests
{
    private static WorkerException Fail(string script, double timeoutSeconds = 60)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", script]), TimeSpan.FromSeconds(timeoutSeconds));
        return Assert.Throws<WorkerException>(() => client.Call(new WorkerRequest(WorkerRequest.Start)));
    }

    [Fact]
    public void Call_WorkerKilled_SaysSo()
    {
        var exception = Fail("read line; kill -9 $$");
        Assert.Equal(WorkerFailureKind.Died, exception.Kind);
        Assert.Equal("it was killed (SIGKILL), most likely for want of memory", exception.Message);
    }

    [Fact]
    public void Call_WorkerAborts_KeepsItsLastWords()
    {
        var exception = Fail("read line; echo 'terminate called' >&2; kill -6 $$");
        Assert.Equal("it aborted", exception.Message);
        Assert.Equal("terminate called", exception.StandardError);
    }

    [Fact]
    public void Call_WorkerEndsBeforeTheAnswer_GivesItsExitCode()
    {
        var exception = Fail("read line; echo '{\"kind\":\"progress\",\"done\":3,\"total\":9}'; exit 5");
        Assert.Equal("it ended with exit code 5", exception.Message);
        Assert.Equal(3, exception.LastProgress);
    }

    [Fact]
    public void Call_WorkerHangs_IsStopped()
    {
        var exception = Fail("sleep 600", timeoutSeconds: 0.3);
        Assert.Equal(WorkerFailureKind.TimedOut, exception.Kind);
    }

    [Fact]
    public void Call_AnswerThatMakesNoSense_IsNotWaitedForAgain()
    {
        var exception = Fail("while read line; do echo '{\"kind\":\"result\",\"samplesNs\":[1.5]}'; done");
        Assert.Equal(WorkerFailureKind.Refused, exception.Kind);
        Assert.StartsWith("its answer cannot be read: ", exception.Message);
    }

    [Fact]
    public void Call_WorkerRefuses_LivesOn()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        const string Script = "while read line; do echo noise; echo '{\"kind\":\"failure\",\"error\":\"no\"}'; done";
        using var client = new WorkerClient(new WorkerCommand("/bin/sh", ["-c", Script]), TimeSpan.FromMinutes(1));
        for (int i = 0; i < 2; i++)
        {
            var exception = Assert.Throws<WorkerException>(() => client.Call(new WorkerRequest(WorkerRequest.Start)));
            Assert.Equal((WorkerFailureKind.Refused, "no"), (exception.Kind, exception.Message));
        }
    }
}
