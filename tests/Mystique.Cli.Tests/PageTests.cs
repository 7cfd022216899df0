using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Tests.Shared;
using Mystique.Verification;

namespace Mystique.Cli.Tests;

/// <summary>
/// The pages in a browser: no text over another, nothing wider than the window, and no word on the console. With MYSTIQUE_ACCEPT=1,
/// the pictures of the documents are made again.
/// </summary>
public sealed partial class PageTests : IDisposable
{
    /// <summary>Tells of texts that overlap, and of a page that is wider than its window.</summary>
    private const string Probe = """
        <script>
        (() => {
          const range = document.createRange(), boxes = [], walker = document.createTreeWalker(document.getElementById("report"), 4);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            if (!node.textContent.trim()) continue;
            range.selectNodeContents(node);
            const clip = node.parentElement.getBoundingClientRect();
            for (const box of range.getClientRects()) {
              const right = Math.min(box.right, clip.right);
              if (right - box.left > 1) boxes.push([box.left, box.top, right, box.bottom, node.textContent, node]);
            }
          }
          boxes.sort((a, b) => a[1] - b[1]);
          const over = [];
          boxes.forEach((a, i) => {
            for (let j = i + 1; j < boxes.length && boxes[j][1] < a[3] - 4; j++)
              if (boxes[j][5] !== a[5] && boxes[j][0] < a[2] - 1 && boxes[j][2] > a[0] + 1) over.push(`${a[4]} | ${boxes[j][4]}`);
          });
          document.body.dataset.texts = boxes.length;
          document.body.dataset.over = over.slice(0, 5).join(" ;; ");
          document.body.dataset.wide = Math.max(0, document.documentElement.scrollWidth - innerWidth);
        })();
        </script>
        """;

    private static readonly string[] Names = ["aten::addmm", "aten::mm", "aten::native_layer_norm_backward", "aten::gelu_backward",
        "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::copy_", "aten::add_.Tensor", "aten::mul.Tensor", "aten::gelu",
        "aten::native_layer_norm", "aten::_softmax_backward_data", "aten::bmm", "aten::sum.dim_IntList", "aten::embedding_dense_backward",
        "aten::addcdiv_", "aten::lerp_.Scalar", "aten::sqrt", "aten::_log_softmax", "aten::nll_loss_forward", "aten::fill_.Scalar"];

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    [Theory]
    [InlineData(10, 1300)]
    [InlineData(60, 1300)]
    [InlineData(400, 1300)]
    [InlineData(60, 700)]
    [InlineData(400, 700)]
    public void Comparison_AnyNumberOfKinds_IsReadable(int kinds, int width)
    {
        string page = PageOf(Report(kinds));
        Assert.SkipUnless(Browser.Exists, "needs chromium");
        AssertReadable(page, width);
        string dom = new Browser(_folder).Open(page, width);
        Assert.Equal(kinds > 16, dom.Contains($"and {kinds - 14} more kinds of operators, ", StringComparison.Ordinal));
        if (width == 1300 && kinds == 60)
            Picture(page, "compare.png", 1230);
    }

    [Theory]
    [InlineData(1300)]
    [InlineData(700)]
    public void Inspection_OfAnExample_IsReadable(int width)
    {
        CommandLine.Run("inspect", CommandLine.Example("gpt"), "--html", File_("i.html")).AssertOk();
        Assert.SkipUnless(Browser.Exists, "needs chromium");
        AssertReadable(File_("i.html"), width);
        if (width == 1300)
            Picture(File_("i.html"), "inspect.png", 1130);
    }

    /// <summary>A verdict says what the report says.</summary>
    [Theory]
    [InlineData(1.0, 0, "Good", "close", "The replay takes as long as the original.", "Nothing differs noticeably.")]
    [InlineData(1.08, 0, "Warn", "noticeable", "The replay is 8.0 % slower than the original.", null)]
    [InlineData(0.7, 0, "Bad", "far off", "The replay is 30.0 % faster than the original.", null)]
    [InlineData(1.0, 1, "Bad", "differs", "The replay takes as long as the original.",
        "One kind of operator or kernel runs more or less often.")]
    [InlineData(1.0, 2, "Bad", "differs", "The replay takes as long as the original.",
        "2 kinds of operators or kernels run more or less often.")]
    public void Verdict_SaysHowGoodItIs(double factor, int wrong, string level, string word, string sentence,
        string? detail)
    {
        var report = FidelityComparer.Compare(Run("job", 10), Run("replay", 10, factor, wrong));
        var verdict = FidelityVerdict.Of(report);
        Assert.Equal((level, word, sentence, detail), (verdict.Level.ToString(), verdict.Word, verdict.Sentence, verdict.Detail));
    }

    private void AssertReadable(string page, int width)
    {
        string probed = File_("probed.html");
        File.WriteAllText(probed, File.ReadAllText(page).Replace("</body>", Probe + "</body>", StringComparison.Ordinal));
        string dom = new Browser(_folder).Open(probed, width);
        Assert.True(int.Parse(Texts().Match(dom).Groups[1].Value, CultureInfo.InvariantCulture) > 50);
        Assert.Equal("", Overlaps().Match(dom).Groups[1].Value);
        Assert.Contains("data-wide=\"0\"", dom);
    }

    private void Picture(string page, string name, int height)
    {
        string file = File_(name), kept = Path.Combine(Repository.Root, "docs", "images", name);
        new Browser(_folder).Picture(page, file, 1000, height);
        Assert.True(new FileInfo(file).Length > 10_000);
        if (Environment.GetEnvironmentVariable("MYSTIQUE_ACCEPT") == "1")
            File.Copy(file, kept, overwrite: true);
        Assert.InRange(new FileInfo(kept).Length, 10_000, 150_000);
    }

    private string PageOf(FidelityReport report)
    {
        using (var stream = File.Create(File_("c.html")))
            FidelityHtml.Write(report, stream);
        return File_("c.html");
    }

    private static FidelityReport Report(int kinds) => FidelityComparer.Compare(Run("gpt", kinds) with
    {
        Repeats = [new SampleStatistics([47_000_000]), new SampleStatistics([47_500_000])],
    }, Run("gpt.bench", kinds, 1.08, wrong: 1) with
    {
        Coverage = new RunCoverage
        {
            Selected = 1_512,
            Classes = new Mystique.Verification.OperatorClasses
            {
                Exact = 1_506,
                Variant = 0,
                Different = 0,
                Substituted = 6,
                StandIn = 0,
                Missing = 0,
                Unplanned = 0,
            },
            Replaced = [("aten::_scaled_dot_product_flash_attention_for_cpu", 6, "substitute", "aten::scaled_dot_product_attention",
                "this PyTorch does not have the operator")],
            Verification = "exact: 1,512 operators",
        },
    });

    /// <summary>An iteration whose operators take less the later they are named, some of them longer in the replay.</summary>
    private static Run Run(string name, int kinds, double factor = 1, int wrong = 0)
    {
        string NameOf(int i) => i < Names.Length ? Names[i] : string.Create(CultureInfo.InvariantCulture, $"{Names[i % Names.Length]}_{i}");
        double Time(int i) => 40e6 / (i + 1.5) / Math.Log(kinds + 2) * (factor > 1 && i % 3 == 0 ? 1.13 : 1) * factor;
        int Count(int i) => 2 + 60 / (i + 1) + (i >= kinds - wrong ? 2 : 0);
        double total = Enumerable.Range(0, kinds).Sum(Time), iteration = 47e6 * factor, at = 0;
        var spans = ImmutableArray.CreateBuilder<TimelineSpan>();
        for (int round = 0; round < 12; round++)
        {
            for (int i = round % 2; i < kinds; i += 2)
            {
                double time = Time(i) / 6 * 0.93 * iteration / total;
                spans.Add(new TimelineSpan(NameOf(i), at, time, new OperatorId(0, 1000 * round + i), i % 4 == 0 ? "forward" : "backward"));
                at += time + 0.07 * iteration / 12 / (kinds / 2.0);
            }
        }
        return new Run
        {
            Name = name,
            Provenance = [("host", "2 x AMD EPYC"), ("PyTorch", "2.6.0"), ("threads", "2")],
            Times = new SampleStatistics([.. Enumerable.Range(0, 200).Select(i =>
                (long)(iteration * (1 + ((i * 7919 % 199) - 99) * 4e-4)))]),
            CpuTimeNs = 88e6 * factor,
            AllocatedBytes = (long)(310e6 * (factor > 1 ? 1.004 : 1)),
            HostMemory = new MemoryTimeline(200_000_000, [.. Enumerable.Range(0, 100).Select(i =>
                (i / 100.0, (long)(200e6 + 110e6 * Math.Sin(Math.PI * i / 100) * (factor > 1 ? 1.012 : 1) + i % 5 * 2e6)))]),
            InstrumentedNs = (long)(iteration * 1.2),
            Groups = Enumerable.Range(0, kinds).ToImmutableSortedDictionary(NameOf, i => new RunOperatorGroup(Count(i),
                Time(i) * 1.2 * 0.93 * iteration / total, i % 3 == 0 ? 4_000_000 : 0), StringComparer.Ordinal),
            Timeline = spans.ToImmutable(),
        };
    }

    [GeneratedRegex("data-texts=\"([0-9]+)\"")]
    private static partial Regex Texts();

    [GeneratedRegex("data-over=\"([^\"]*)\"")]
    private static partial Regex Overlaps();
}
