using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces.Chakra;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>
/// Reads PyTorch execution traces, schemas 1.0.1 to 1.1.1-chakra.0.0.4, from JSON or gzip, and Chakra's files. Node by node, so that
/// the file's text is never in memory as a whole. See <c>docs/trace-format.md</c>.
/// </summary>
internal static class TraceReader
{
    /// <summary>The name that means standard input.</summary>
    public const string StandardInput = "-";

    /// <summary>Reads a trace.</summary>
    /// <param name="path">A <c>.json</c> or <c>.json.gz</c> file, told apart by its first bytes, or <c>-</c> for standard input.</param>
    /// <param name="options">How to read; the default repairs what it can.</param>
    /// <exception cref="MystiqueException">The file is not there, or is no execution trace (MYS100 to MYS199).</exception>
    public static ExecutionTrace Read(string path, TraceReadOptions? options = null)
    {
        if (path is StandardInput or "/dev/stdin")
        {
            using var input = Console.OpenStandardInput();
            return Read(input, "standard input", options);
        }
        if (Directory.Exists(path))
            throw Problems.TraceIsDirectory(path);
        if (!File.Exists(path))
            throw Problems.TraceNotFound(path);
        try
        {
            using var file = PlainFile.Open(path, orStandardInput: true);
            return Read(file, path, options);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.TraceUnreadable(path, exception);
        }
    }

    /// <summary>Reads a trace from a stream of JSON or gzip.</summary>
    /// <param name="stream">The bytes; not disposed.</param>
    /// <param name="source">What to call it in messages.</param>
    /// <param name="options">How to read; the default repairs what it can.</param>
    /// <exception cref="MystiqueException">It is no execution trace (MYS100 to MYS199).</exception>
    public static ExecutionTrace Read(Stream stream, string source, TraceReadOptions? options = null)
    {
        Work.FileRead();
        using var phase = Phase.Start($"read {Path.GetFileName(source)}");
        var head = PrefixedStream.Sniff(stream, out bool isGzip);
        if (!isGzip)
            return ReadPlain(head, source, options ?? new TraceReadOptions());
        return ReadGzip(head, source, options ?? new TraceReadOptions());
    }

    private static ExecutionTrace ReadPlain(Stream plain, string source, TraceReadOptions options)
    {
        var head = Head(plain, out bool isChakra);
        return isChakra ? ChakraReader.Read(head, source, options) : new TraceParser(head, source, options).Parse();
    }

    /// <summary>The same stream, after a look at its first bytes.</summary>
    private static PrefixedStream Head(Stream stream, out bool isChakra)
    {
        byte[] head = new byte[ChakraReader.HeadBytes];
        int got = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        isChakra = ChakraMessages.Starts(head.AsSpan(0, got));
        return new PrefixedStream(head[..got], stream);
    }

    /// <summary>
    /// The decompressor takes the end of its input for the end of the stream. That a file was cut short shows in its
    /// last four bytes: they should be the size of what it unpacks to (RFC 1952, ISIZE). Only a file whose text is
    /// damaged is asked, because a file of several members has the size of the last one alone there.
    /// </summary>
    private static ExecutionTrace ReadGzip(PrefixedStream packed, string source, TraceReadOptions options)
    {
        try
        {
            using var gzip = BoundedStream.Unpack(packed, options.UnpackedFloorBytes, source);
            var head = Head(gzip, out bool isChakra);
            if (isChakra)
                return ChakraReader.Read(head, source, options);
            var parser = new TraceParser(head, source, options);
            try
            {
                var trace = parser.Parse();
                return !parser.IsDamaged || packed.LastFourBytes == (uint)trace.SizeBytes ? trace
                    : throw new InvalidDataException("it ends too soon");
            }
            catch (MystiqueException exception)
                when (exception.Id != Problems.TooLargeId && packed.IsAtEnd && packed.LastFourBytes != (uint)parser.TotalBytes)
            {
                throw new InvalidDataException("it ends too soon");
            }
        }
        catch (InvalidDataException exception)
        {
            throw Problems.TraceGzipDamaged(source, exception);
        }
    }
}
