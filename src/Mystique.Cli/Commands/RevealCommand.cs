using System.CommandLine;
using Mystique.Anonymising;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Packaging.Jobs;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique reveal</c>: what a reader can learn of a job from its package.</summary>
internal static class RevealCommand
{
    public static Command Create()
    {
        var package = new Argument<string>("PACKAGE") { Description = "A package's folder, of one rank or of a job" };
        var command = new Command("reveal",
            """
            Tells what a reader can learn of a job from its package: the kind of model, widths, depth, batch, ranks, and what
            is left of its texts. For the owner, before it is given away.

            Example:
              mystique generate job -o job.bench --anonymise && mystique reveal job.bench
            """)
        { package };
        command.SetAction(result =>
        {
            string path = result.GetValue(package)!;
            var job = JobBenchmark.IsJob(path) ? JobBenchmark.Load(path) : null;
            var facts = Disclosure.Of(job?.Programs[0] ?? Benchmark.Load(path), [.. job?.Groups.Select(g => g.Ranks.Length) ?? []]);
            var table = Terminal.Table(path, "what", "told");
            foreach (var fact in facts.Where(f => !f.IsText))
                table.Row(fact.What, fact.Told);
            Terminal.Write(table);
            var texts = facts.Where(f => f.IsText).ToArray();
            if (texts.Length == 0)
            {
                Terminal.WriteLine("there is no text of the job's own");
                Terminal.Next($"mystique run {Terminal.Quote(path)}");
                return (int)ExitCode.Done;
            }
            var own = Terminal.Table("texts of the job's own, which generate --anonymise leaves out", "what", "text");
            foreach (var fact in texts)
                own.Row(fact.What, fact.Told);
            Terminal.Write(own);
            Terminal.Next($"mystique generate CAPTURE -o {Terminal.Quote(path)} --anonymise");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
