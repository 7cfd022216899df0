using System.Diagnostics;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;

namespace Mystique.Cli.Commands;

/// <summary>
/// Starts the shards of <c>fleet add</c>: each is the same command with <c>--shard</c>, which needs nothing from the others but the folder.
/// </summary>
internal static class FleetLauncher
{
    /// <summary>Starts them.</summary>
    /// <param name="launcher"><c>local</c>, <c>slurm</c> or <c>kubernetes</c>.</param>
    /// <param name="fleet">The catalogue.</param>
    /// <param name="paths">What to add.</param>
    /// <param name="weights">Weights; null for none.</param>
    /// <param name="labels">A pattern; null for none.</param>
    /// <param name="shards">How many.</param>
    /// <param name="image">Of Kubernetes, the image.</param>
    /// <param name="cancellation">Ends what runs here.</param>
    /// <exception cref="MystiqueException">They could not be started, or one failed (MYS515).</exception>
    public static async Task<int> RunAsync(string launcher, string fleet, string[] paths, string? weights, string? labels, int shards,
        string image, CancellationToken cancellation)
    {
        FleetFolder.OpenOrCreate(fleet); // Shards of several machines do not make it at the same time.
        string[] arguments = ["fleet", "add", Path.GetFullPath(fleet), .. paths.Select(Path.GetFullPath),
            .. weights is null ? (string[])[] : ["--weights", Path.GetFullPath(weights)], .. labels is null ? (string[])[]
                : ["--labels", labels]];
        switch (launcher)
        {
            case "local":
                for (int shard = 1; shard <= shards; shard++)
                    await StartAsync(launcher, Own(), [.. OwnArguments(), .. arguments, "--shard",
                        string.Create(CultureInfo.InvariantCulture, $"{shard}/{shards}")], null, cancellation);
                return (int)ExitCode.Done;
            case "slurm":
                string[] words = [Own(), .. OwnArguments(), .. arguments];
                string script = $"#!/bin/sh\nexec {string.Join(' ', words.Select(Terminal.Quote))} "
                    + $"--shard \"$SLURM_ARRAY_TASK_ID/{shards}\"\n";
                await StartAsync(launcher, "sbatch", ["--wait", "--job-name=mystique-fleet",
                    string.Create(CultureInfo.InvariantCulture, $"--array=1-{shards}"),
                    $"--output={Path.Combine(Path.GetFullPath(fleet), "shard-%a.log")}"], script, cancellation);
                return (int)ExitCode.Done;
            default:
                Console.Out.Write(Manifest(image, arguments, shards));
                return (int)ExitCode.Done;
        }
    }

    /// <summary>A job whose pods are numbered from 0 (Kubernetes, "Indexed Job for Parallel Processing").</summary>
    private static string Manifest(string image, string[] arguments, int shards) => $"""
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: mystique-fleet-add
        spec:
          completions: {shards}
          parallelism: {shards}
          completionMode: Indexed
          backoffLimitPerIndex: 2
          template:
            spec:
              restartPolicy: Never
              containers:
              - name: add
                image: {JsonString(image)}
                command: ["sh", "-c", {JsonString($"exec mystique {string.Join(' ', arguments.Select(Terminal.Quote))} --shard "
                    + $"\"$((JOB_COMPLETION_INDEX + 1))/{shards}\"")}]
                # Mount the folder of the catalogue and of the traces at the paths above.

        """.ReplaceLineEndings("\n");

    private static string JsonString(string text) => $"\"{JsonEncodedText.Encode(text,
        JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    /// <summary>What runs this program.</summary>
    private static string Own() => Environment.ProcessPath ?? "mystique";

    private static string[] OwnArguments() => Path.GetFileNameWithoutExtension(Own()) == "dotnet"
        ? [Path.Combine(AppContext.BaseDirectory, $"{typeof(FleetLauncher).Assembly.GetName().Name}.dll")] : [];

    private static async Task StartAsync(string launcher, string program, string[] arguments, string? input, CancellationToken cancellation)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = input is not null })!;
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input);
                process.StandardInput.Close();
            }
            await process.WaitForExitAsync(cancellation);
            if (process.ExitCode != 0)
                throw Problems.LauncherFailed(launcher, $"{Path.GetFileName(program)} ended with exit code {process.ExitCode}");
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw Problems.LauncherFailed(launcher, exception.Message);
        }
    }
}
