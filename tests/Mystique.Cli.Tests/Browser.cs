using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>Chromium without a window, where there is one.</summary>
/// <param name="folder">Where its profile goes.</param>
internal sealed class Browser(string folder)
{
    private static readonly string? Executable = ((string[])["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"])
        .FirstOrDefault(File.Exists);

    public static bool Exists => Executable is not null;

    /// <summary>Opens a page; returns what it has become.</summary>
    public string Open(string page, int width = 1280, int height = 4000) => Run(page, $"--window-size={width},{height}", "--dump-dom");

    /// <summary>Takes a picture of a page.</summary>
    public void Picture(string page, string file, int width, int height, bool isDark = false) =>
        Run(page, [$"--window-size={width},{height}", $"--screenshot={file}", "--hide-scrollbars",
            .. isDark ? (string[])["--blink-settings=preferredColorScheme=0"] : []]);

    private string Run(string page, params string[] options)
    {
        var start = new ProcessStartInfo(Executable!) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            $"--user-data-dir={Path.Combine(folder, "profile")}", "--enable-logging=stderr", "--virtual-time-budget=20000", .. options,
            $"file://{page}"])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        // Whatever a page says on its console, refused requests too, is an error here.
        Assert.DoesNotContain(error.Result.Split('\n'), l => l.Contains("CONSOLE", StringComparison.Ordinal));
        return output;
    }
}
