using System.Runtime.InteropServices;
using System.Text;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// libstdc++'s <c>std::string</c>: a pointer, a length, and 16 bytes for a short text or the capacity. Made here, it
/// borrows memory that the native side must not free: pass it as a constant reference only.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StdString
{
    public byte* Data;
    public nuint Length;
    public nuint Capacity;
    private readonly nuint _unused;

    /// <summary>A string over pinned, zero-terminated UTF-8.</summary>
    public static StdString Over(byte* utf8, int length) =>
        new() { Data = utf8, Length = (nuint)length, Capacity = (nuint)Math.Max(length, 16) };

    public override readonly string ToString() => Encoding.UTF8.GetString(Data, (int)Length);
}
