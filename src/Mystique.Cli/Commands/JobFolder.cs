using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Packaging.Jobs;
using Mystique.Recordings;

namespace Mystique.Cli.Commands;

/// <summary>The benchmark of a job in its folder; of a capture, one that is made for the command and goes with it.</summary>
internal sealed class JobFolder : IDisposable
{
    private readonly Unfinished? _made;

    private JobFolder(JobBenchmark job, string path, Unfinished? made) => (Job, Path, _made) = (job, path, made);

    /// <summary>The job.</summary>
    public JobBenchmark Job { get; }

    /// <summary>Its folder.</summary>
    public string Path { get; }

    /// <summary>Opens a job, or makes one of a capture.</summary>
    public static JobFolder Of(string path, BenchmarkOptions options, bool strict)
    {
        if (JobBenchmark.IsJob(path))
            return options.NeedRecording ? throw Problems.PartOfPackage(path)
                : new JobFolder(JobBenchmark.Load(path), System.IO.Path.GetFullPath(path), null);
        var job = JobBuilder.Make([.. Inputs.OpenRanks(RankFiles.Of(path), strict)], path, options);
        var made = Unfinished.TemporaryFolder();
        try
        {
            string folder = System.IO.Path.Combine(made.Path, "job.bench");
            job.Save(folder);
            return new JobFolder(job, folder, made);
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    public void Dispose() => _made?.Dispose();
}
