using System.Text;

namespace Mystique.Diagnostics;

/// <summary>
/// A writer to a terminal: it escapes what that would obey (<see cref="PrintableText"/>), but for ends of lines and tabs.
/// </summary>
/// <param name="inner">Where it goes.</param>
internal sealed class PrintableWriter(TextWriter inner) : TextWriter
{
    /// <summary>The first half of a pair of surrogates that came alone, and whose second half may follow.</summary>
    private char _pending;

    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Write([value]);

    public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

    public override void Write(string? value) => Write(value.AsSpan());

    public override void Write(ReadOnlySpan<char> buffer)
    {
        if (buffer.IsEmpty)
            return;
        string text = _pending == 0 ? buffer.ToString() : string.Concat([_pending], buffer);
        _pending = '\0';
        if (char.IsHighSurrogate(text[^1]))
        {
            _pending = text[^1];
            text = text[..^1];
        }
        for (int start = 0; start <= text.Length;)
        {
            int end = text.AsSpan(start).IndexOfAny('\n', '\t');
            end = end < 0 ? text.Length : start + end;
            inner.Write(PrintableText.Escape(text[start..end]));
            if (end < text.Length)
                inner.Write(text[end]);
            start = end + 1;
        }
    }

    public override void WriteLine() => Write('\n');

    public override void WriteLine(string? value) => Write(value + "\n");

    public override void WriteLine(ReadOnlySpan<char> buffer) => Write($"{buffer}\n");

    public override void Flush() => inner.Flush();
}
