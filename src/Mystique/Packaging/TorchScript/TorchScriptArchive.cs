using System.IO.Compression;
using System.Text;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Writes and reads the TorchScript archive that holds a program: a zip file, stored without compression, as
/// <c>torch.jit.load</c> reads it from PyTorch 1.13 on (<c>torch/csrc/jit/serialization/import.cpp</c>).
/// </summary>
internal static class TorchScriptArchive
{
    private const string Root = "benchmark";
    private const string CodePath = "code/__torch__.py";

    /// <summary>
    /// The newest version that PyTorch 1.13 reads (<c>caffe2/serialize/versions.h</c>). An older one would do, but makes
    /// libtorch put operators' former meanings in their places: <c>aten::div</c> before version 4, for one.
    /// </summary>
    private static readonly byte[] FormatVersion = "10\n"u8.ToArray();

    /// <summary>An empty tuple, pickled.</summary>
    private static readonly byte[] Constants = [0x80, 2, (byte)')', (byte)'.'];

    /// <summary>The first time that a zip file can name, so that equal programs are equal files.</summary>
    private static readonly DateTimeOffset Epoch = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static byte[] Write(string code)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(zip, "data.pkl", PickleState());
            Add(zip, CodePath, Encoding.UTF8.GetBytes(code));
            Add(zip, "constants.pkl", Constants);
            Add(zip, "version", FormatVersion);
        }
        return bytes.ToArray();
    }

    /// <summary>The program's text.</summary>
    /// <exception cref="InvalidDataException">The archive is damaged, or has more in it than <see cref="Write"/> puts there.</exception>
    public static string ReadCode(byte[] archive)
    {
        var entries = StoredZip.Read(archive);
        (string Name, byte[]? Content)[] parts = [("data.pkl", PickleState()), (CodePath, null), ("constants.pkl", Constants),
            ("version", FormatVersion)];
        if (entries.Count != parts.Length)
            throw new InvalidDataException($"it has {entries.Count} parts where there must be {parts.Length}");
        foreach (var (name, content) in parts)
            if (!entries.TryGetValue($"{Root}/{name}", out var bytes) || content is not null && !bytes.Span.SequenceEqual(content))
                throw new InvalidDataException($"its {Root}/{name} is missing or invalid");
        var code = entries[$"{Root}/{CodePath}"].Span;
        // A program is written in ASCII: nothing can look like something else.
        return Ascii.IsValid(code) ? Encoding.ASCII.GetString(code) : throw new InvalidDataException($"its {Root}/{CodePath} is not ASCII");
    }

    private static void Add(ZipArchive zip, string name, byte[] content)
    {
        var entry = zip.CreateEntry($"{Root}/{name}", CompressionLevel.NoCompression);
        entry.LastWriteTime = Epoch;
        using var stream = entry.Open();
        stream.Write(content);
    }

    /// <summary>A <c>__torch__.Benchmark</c> whose four attributes are empty lists (pickle protocol 2).</summary>
    public static byte[] PickleState()
    {
        var pickle = new MemoryStream();
        void Text(string text) => pickle.Write(Encoding.ASCII.GetBytes(text));
        void Name(string name)
        {
            pickle.WriteByte((byte)'X'); // BINUNICODE
            pickle.Write(BitConverter.GetBytes(name.Length));
            Text(name);
        }

        pickle.Write([0x80, 2]);
        Text("c__torch__\nBenchmark\n)"); // GLOBAL, EMPTY_TUPLE
        pickle.WriteByte(0x81); // NEWOBJ
        Text("}("); // EMPTY_DICT, MARK
        Name("slots");
        Text("ctorch.jit._pickle\nbuild_tensorlist\n]"); // GLOBAL, EMPTY_LIST
        pickle.WriteByte(0x85); // TUPLE1
        Text("R"); // REDUCE
        foreach (string name in (string[])["devices", "holds", "kept"])
        {
            Name(name);
            Text("]"); // EMPTY_LIST
        }
        Text("ub."); // SETITEMS, BUILD, STOP
        return pickle.ToArray();
    }
}
