using Mystique.Diagnostics;
using Mystique.Packaging.TorchScript;

namespace Mystique.Tests.Packaging;

public sealed class PackageErrorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public PackageErrorTests() => Benchmark.Of(PlanOf.Trace(ProgramGeneratorTests.Sample)).Save(Package);

    private string Package => Path.Combine(_folder, "p");

    private string Manifest => Path.Combine(Package, Benchmark.ManifestFile);

    private string Program => Path.Combine(Package, Benchmark.ProgramFile);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, string, string, string> Edits => new()
    {
        { "\"format\": \"mystique-benchmark\"", "\"format\": \"zip\"", "MYS301", "its format is not" },
        { "\"format_version\": 3", "\"format_version\": 9", "MYS302", "9 is not supported: 2 and 3 are" },
        { "\"ranks\": [", "\"rank\": [", "MYS301", "the manifest" },
        { "\"call\":\"f0\"", "\"call\":\"f7\"", "MYS309", "it has the function f0, which the schedule does not call" },
        { "\"first\":0,\"count\":14", "\"first\":0,\"count\":13", "MYS301",
            "the schedule, which has not all of the operators, is invalid" },
        { "\"storage\":0,\"dtype\":\"float32\"", "\"storage\":99,\"dtype\":\"float32\"", "MYS301", "tensors[0].storage" },
        { "\"storage\":0,\"dtype\":\"float32\"", "\"storage\":0,\"dtype\":\"float99\"", "MYS301", "tensors[0].dtype" },
        { "\"shape\":[4]", "\"shape\":[4000]", "MYS301", "reaches beyond its storage" },
        { "{\"node\":3,\"schema\":0,\"args\":[{\"t\":[0]}", "{\"node\":3,\"schema\":0,\"args\":[{\"t\":[999]}", "MYS301",
            "operators[0].args[0]" },
        { "\"aten::item(Tensor self) -> Scalar\"", "\"aten::item(Tensor self\"", "MYS301", "schemas[5] is invalid" },
        { "\"aten::item(Tensor self) -> Scalar\"", "\"aten::item); import os(Tensor self) -> Scalar\"", "MYS301", "schemas[5] is invalid" },
        { "\"storages\": [", "\"storages\": 7, \"x\": [", "MYS301", "the manifest is invalid" },
        { "\"operators\": [", "\"others\": [", "MYS301", "the manifest is invalid" },
    };

    /// <summary>Replaces the first of a text in a file, which has it.</summary>
    internal static void Edit(string file, string from, string to)
    {
        string text = File.ReadAllText(file);
        Assert.Contains(from, text);
        int at = text.IndexOf(from, StringComparison.Ordinal);
        File.WriteAllText(file, text[..at] + to + text[(at + from.Length)..]);
    }

    [Theory]
    [MemberData(nameof(Edits))]
    public void Read_EditedManifest_IsRefused(string from, string to, string id, string message)
    {
        Edit(Manifest, from, to);
        var exception = Assert.Throws<MystiqueException>(() => Benchmark.Load(Package));
        Assert.Equal(id, exception.Id);
        Assert.Contains(message, exception.What);
        Assert.Contains(id == "MYS309" ? Benchmark.ProgramFile : Benchmark.ManifestFile, exception.Where);
    }

    [Fact]
    public void Read_AnotherProgram_Disagrees()
    {
        File.WriteAllBytes(Program, TorchScriptArchive.Write("class Benchmark(Module):\n"));
        var exception = Assert.Throws<MystiqueException>(() => Benchmark.Load(Package));
        Assert.Equal("MYS303", exception.Id);
        Assert.Contains("SHA-256 differs", exception.What);
        Assert.EndsWith(Benchmark.ProgramFile, exception.Where, StringComparison.Ordinal);
    }

    /// <summary>
    /// What may hold anything may hold another directory: PyTorch's reader takes the one that a zip64 locator names, which can lie
    /// in the comment of the last entry.
    /// </summary>
    [Theory]
    [InlineData(30)]
    [InlineData(32)]
    public void StoredZip_ExtraFieldOrComment_IsRefused(int field)
    {
        byte[] archive = File.ReadAllBytes(Program);
        int end = archive.Length - 22, last = archive.AsSpan().LastIndexOf("PK\u0001\u0002"u8);
        byte[] longer = [.. archive[..end], .. new byte[20], .. archive[end..]];
        longer[last + field] = 20;
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(longer.AsSpan(end + 32),
            System.Buffers.Binary.BinaryPrimitives.ReadInt32LittleEndian(archive.AsSpan(end + 12)) + 20);
        Assert.Equal(4, StoredZip.Read(archive).Count);
        Assert.Contains("extra field or a comment", Assert.Throws<InvalidDataException>(() => StoredZip.Read(longer)).Message);
    }

    [Fact]
    public void Read_ProgramThatIsNoArchive_Disagrees()
    {
        File.WriteAllText(Program, "hello");
        Assert.Equal("MYS303", Assert.Throws<MystiqueException>(() => Benchmark.Load(Package)).Id);
        Assert.Contains("it is a file", Assert.Throws<MystiqueException>(() => Benchmark.Load(Program)).Message);
        File.Delete(Program);
        Assert.Equal("MYS306", Assert.Throws<MystiqueException>(() => Benchmark.Load(Package)).Id);
        Assert.Equal("MYS314", Assert.Throws<MystiqueException>(() => Benchmark.Load(Path.Combine(Package, "none"))).Id);
    }

    [Fact]
    public void Write_OverSomethingElse_IsRefusedAndLeavesNothing()
    {
        var package = Benchmark.Load(Package);
        string other = Directory.CreateDirectory(Path.Combine(_folder, "other")).FullName;
        File.WriteAllText(Path.Combine(other, "mine.txt"), "keep");
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => package.Save(other)).Id);
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => package.Save(Path.Combine(other, "mine.txt"))).Id);
        Assert.Equal(["mine.txt"], Directory.EnumerateFileSystemEntries(other).Select(Path.GetFileName));
        Assert.Equal(["other", "p"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName).Order());
    }
}
