using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Mystique.Reporting.Documents;

namespace Mystique.Cli.Doctor;

/// <summary>Asks a Python what it has (<c>python/doctor/look.py</c>).</summary>
internal static class PythonLook
{
    private const string Script = "python/doctor/look.py";

    /// <summary>Longest time that importing PyTorch may take, for example from a slow network's disk.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static async Task<DoctorPython> AskAsync(string command, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(command, ["-B", "-"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            string why = new Win32Exception(exception.NativeErrorCode).Message;
            return new DoctorPython { Command = command, Problem = $"cannot be started: {why}" };
        }
        using (process)
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            limit.CancelAfter(Limit);
            try
            {
                var error = process.StandardError.ReadToEndAsync(limit.Token);
                var output = process.StandardOutput.ReadToEndAsync(limit.Token);
                await process.StandardInput.WriteAsync(EmbeddedText.Join(Script).AsMemory(), limit.Token);
                process.StandardInput.Close();
                await process.WaitForExitAsync(limit.Token);
                string said = LastLine(await output);
                return Read(command, said) ?? new DoctorPython
                {
                    Command = command,
                    Problem = said.Length == 0 ? $"it says nothing (exit code {process.ExitCode}): {LastLine(await error)}"
                        : $"its answer is not what a Python says (exit code {process.ExitCode}): {said}",
                };
            }
            catch (IOException exception)
            {
                return new DoctorPython { Command = command, Problem = $"it ended before it was asked: {exception.Message}" };
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                process.Kill(entireProcessTree: true);
                return new DoctorPython { Command = command, Problem = $"no answer within {Limit.TotalSeconds:0} s" };
            }
        }
    }

    /// <summary>Reads its answer; null where that is none.</summary>
    private static DoctorPython? Read(string command, string line)
    {
        try
        {
            var answer = JsonDocument.Parse(line, new JsonDocumentOptions { AllowDuplicateProperties = false }).RootElement;
            if (answer.ValueKind != JsonValueKind.Object)
                return null;
            var fields = answer.EnumerateObject().ToDictionary(f => f.Name, f => f.Value);
            fields["command"] = JsonSerializer.SerializeToElement(command, DocumentContext.Default.String);
            var text = new StringBuilder("{").AppendJoin(',', fields.Where(f => f.Value.ValueKind != JsonValueKind.Null)
                .Select(f => $"\"{f.Key}\":{f.Value.GetRawText()}")).Append('}');
            return DocumentContext.Read<DoctorPython>(Encoding.UTF8.GetBytes(text.ToString()));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string LastLine(string text) => text.TrimEnd().Split('\n')[^1].Trim();
}
