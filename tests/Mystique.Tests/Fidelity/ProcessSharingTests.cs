using Mystique.Fidelity;
using Mystique.Recordings;

namespace Mystique.Tests.Fidelity;

/// <summary>How processes that are measured in turns share memory is decided before they start.</summary>
public sealed class ProcessSharingTests
{
    private const long Gigabyte = 1_000_000_000;

    private static Baseline Job(long reserved, long live, long onHost = 1) => new()
    {
        DevicePeakBytes = reserved / 2,
        DeviceReservedBytes = reserved,
        DeviceLiveBytes = live,
        Before = new CaptureWindow { PeakBytes = onHost },
    };

    private static SharingKind Decide(Baseline job, long? free, long? onHost = 100 * Gigabyte, bool isOnHost = false) =>
        ProcessSharing.Decide(job, isOnHost, free, onHost).Kind;

    /// <summary>Three times all that the job's allocator holds, and two more contexts.</summary>
    [Fact]
    public void Decide_WhereThreeFit_HoldsThem()
    {
        long needed = 3 * 10 * Gigabyte + 2 * ProcessSharing.ContextBytes;
        Assert.Equal(SharingKind.Held, Decide(Job(10 * Gigabyte, 4 * Gigabyte), needed));
        Assert.NotEqual(SharingKind.Held, Decide(Job(10 * Gigabyte, 4 * Gigabyte), needed - 1));
        Assert.Null(ProcessSharing.Decide(Job(10 * Gigabyte, 4 * Gigabyte), false, needed, null).Reason);
    }

    /// <summary>Three times what lives between iterations, and once what one of them needs beside.</summary>
    [Fact]
    public void Decide_WhereTheirTensorsFitAndOneIteration_ReleasesCaches()
    {
        long needed = (3 * 4 + 6) * Gigabyte + 2 * ProcessSharing.ContextBytes;
        Assert.Equal(SharingKind.Released, Decide(Job(10 * Gigabyte, 4 * Gigabyte), needed));
        Assert.Equal(SharingKind.Restarted, Decide(Job(10 * Gigabyte, 4 * Gigabyte), needed - 1));
        Assert.Equal("started again for each block: 3 processes need 32.1 GB of the device's memory, and 20.0 GB are free",
            ProcessSharing.Decide(Job(10 * Gigabyte, 4 * Gigabyte), false, 20 * Gigabyte, null).ToString());
    }

    /// <summary>A job that takes 60 % of the device leaves no room for another.</summary>
    [Fact]
    public void Decide_WhereOneTakesMost_StartsThemInTurn() =>
        Assert.Equal(SharingKind.Restarted, Decide(Job(48 * Gigabyte, 40 * Gigabyte), 80 * Gigabyte));

    [Fact]
    public void Decide_WhereLiveBytesAreNotKnown_StartsThemInTurn() => Assert.Equal(SharingKind.Restarted,
        Decide(Job(48 * Gigabyte, 0) with { DeviceLiveBytes = null }, 80 * Gigabyte));

    [Fact]
    public void Decide_OfAnOlderCapture_TakesWhatTensorsHad() => Assert.Equal(SharingKind.Held,
        Decide(Job(20 * Gigabyte, 0) with { DeviceReservedBytes = null }, 3 * 10 * Gigabyte + 2 * ProcessSharing.ContextBytes));

    /// <summary>A platform beside the reference has two more: its original and its replay.</summary>
    [Fact]
    public void Decide_OfMoreProcesses_CountsThemAll()
    {
        Assert.Equal("started again for each block: 4 more processes need 44.0 GB of memory, and 40.0 GB are free",
            ProcessSharing.Decide(Job(0, 0, 11 * Gigabyte), true, null, 40 * Gigabyte, processes: 5).ToString());
        Assert.Equal(SharingKind.Held, ProcessSharing.Decide(Job(0, 0, 10 * Gigabyte), true, null, 40 * Gigabyte, processes: 5).Kind);
    }

    /// <summary>Nothing known is no reason to do it the long way.</summary>
    [Fact]
    public void Decide_WhereNothingIsKnown_HoldsThem()
    {
        Assert.Equal(SharingKind.Held, Decide(Job(48 * Gigabyte, 40 * Gigabyte), null, null));
        Assert.Equal(SharingKind.Held, Decide(Job(0, 0), 1));
    }

    [Fact]
    public void Decide_OfReplaysOnTheHost_LooksAtItsMemoryAlone()
    {
        Assert.Equal(SharingKind.Held, Decide(Job(48 * Gigabyte, 0), 1, isOnHost: true));
        Assert.Equal(SharingKind.Restarted, Decide(Job(0, 0, 51 * Gigabyte), null, 100 * Gigabyte, isOnHost: true));
        Assert.Equal(SharingKind.Held, Decide(Job(0, 0, 50 * Gigabyte), null, 100 * Gigabyte, isOnHost: true));
        Assert.Equal(SharingKind.Restarted, Decide(Job(1, 0, 51 * Gigabyte), 100 * Gigabyte, 100 * Gigabyte)); // On a device, too.
    }
}
