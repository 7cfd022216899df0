using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// Makes a 0-dim tensor what PyTorch makes of a Python number: <c>TensorImpl::is_wrapped_number_</c>, a bit that no
/// exported function sets. Its place is that of libtorch 2.10 on x86-64 and Arm64
/// (<c>c10/core/TensorImpl.h</c>); before it is relied on, the effect is checked.
/// </summary>
internal static unsafe class WrappedNumber
{
    private const int ByteOffset = 0xad;
    private const byte Bit = 0x80;

    private static readonly Lazy<bool> Works = new(Check);

    /// <summary>Marks a tensor, where this libtorch keeps the mark where it is expected.</summary>
    public static void Mark(Tensor number)
    {
        if (Works.Value)
            Set(number);
    }

    /// <summary>A float and a number that is a double make a float; a float and a tensor that is a double make a double.</summary>
    private static bool Check()
    {
        using var number = zeros([], ScalarType.Float64);
        using var single = ones([], ScalarType.Float32);
        using var plain = single + number;
        if (plain.dtype != ScalarType.Float64)
            return false;
        byte before = *Byte(number);
        Set(number);
        using var wrapped = single + number;
        *Byte(number) = before;
        return wrapped.dtype == ScalarType.Float32;
    }

    private static void Set(Tensor number) => *Byte(number) |= Bit;

    /// <summary>A tensor's handle points to an <c>at::Tensor</c>, which is a pointer to the <c>TensorImpl</c>.</summary>
    private static byte* Byte(Tensor tensor) => (byte*)Marshal.ReadIntPtr(tensor.Handle) + ByteOffset;
}
