using System.Collections.Frozen;

namespace Mystique.Traces;

/// <summary>
/// Element types of tensors. The numbers are PyTorch's (<c>c10/core/ScalarType.h</c>): a trace records a
/// <c>dtype</c> argument as this number, and generated programs pass it on.
/// </summary>
public enum ScalarType : sbyte
{
    /// <summary>Unsigned 8-bit integer (<c>torch.uint8</c>).</summary>
    Byte = 0,

    /// <summary>Signed 8-bit integer (<c>torch.int8</c>).</summary>
    Char = 1,

    /// <summary>Signed 16-bit integer.</summary>
    Short = 2,

    /// <summary>Signed 32-bit integer.</summary>
    Int = 3,

    /// <summary>Signed 64-bit integer.</summary>
    Long = 4,

    /// <summary>IEEE 754 binary16.</summary>
    Half = 5,

    /// <summary>IEEE 754 binary32.</summary>
    Float = 6,

    /// <summary>IEEE 754 binary64.</summary>
    Double = 7,

    /// <summary>Two halves.</summary>
    ComplexHalf = 8,

    /// <summary>Two floats.</summary>
    ComplexFloat = 9,

    /// <summary>Two doubles.</summary>
    ComplexDouble = 10,

    /// <summary>One byte, 0 or 1.</summary>
    Bool = 11,

    /// <summary>Quantised signed 8-bit integer.</summary>
    QInt8 = 12,

    /// <summary>Quantised unsigned 8-bit integer.</summary>
    QUInt8 = 13,

    /// <summary>Quantised 32-bit integer.</summary>
    QInt32 = 14,

    /// <summary>bfloat16: the upper half of a float.</summary>
    BFloat16 = 15,

    /// <summary>Two quantised 4-bit integers in a byte.</summary>
    QUInt4x2 = 16,

    /// <summary>Four quantised 2-bit integers in a byte.</summary>
    QUInt2x4 = 17,

    /// <summary>Eight bits without a meaning, one each.</summary>
    Bits1x8 = 18,

    /// <summary>Four times two bits.</summary>
    Bits2x4 = 19,

    /// <summary>Two times four bits.</summary>
    Bits4x2 = 20,

    /// <summary>Eight bits.</summary>
    Bits8 = 21,

    /// <summary>Sixteen bits.</summary>
    Bits16 = 22,

    /// <summary>8-bit float, 5 exponent bits.</summary>
    Float8E5M2 = 23,

    /// <summary>8-bit float, 4 exponent bits, no infinities.</summary>
    Float8E4M3Fn = 24,

    /// <summary>8-bit float, 5 exponent bits, no negative zero.</summary>
    Float8E5M2Fnuz = 25,

    /// <summary>8-bit float, 4 exponent bits, no negative zero.</summary>
    Float8E4M3Fnuz = 26,

    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 27,

    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32 = 28,

    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64 = 29,

    /// <summary>Unsigned integer of 1 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt1 = 30,

    /// <summary>Unsigned integer of 2 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt2 = 31,

    /// <summary>Unsigned integer of 3 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt3 = 32,

    /// <summary>Unsigned integer of 4 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt4 = 33,

    /// <summary>Unsigned integer of 5 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt5 = 34,

    /// <summary>Unsigned integer of 6 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt6 = 35,

    /// <summary>Unsigned integer of 7 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    UInt7 = 36,

    /// <summary>Signed integer of 1 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int1 = 37,

    /// <summary>Signed integer of 2 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int2 = 38,

    /// <summary>Signed integer of 3 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int3 = 39,

    /// <summary>Signed integer of 4 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int4 = 40,

    /// <summary>Signed integer of 5 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int5 = 41,

    /// <summary>Signed integer of 6 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int6 = 42,

    /// <summary>Signed integer of 7 bits, in a byte (a shell: PyTorch has no kernels).</summary>
    Int7 = 43,

    /// <summary>8 exponent bits alone: the scales of MX formats.</summary>
    Float8E8M0Fnu = 44,

    /// <summary>Two floats of 4 bits (2 exponent bits, 1 mantissa bit) in a byte, which counts as one element.</summary>
    Float4E2M1FnX2 = 45,

    /// <summary>Not known: an undefined tensor, or a type name that this version cannot tell.</summary>
    Undefined = -1,
}

/// <summary>What is known of each <see cref="ScalarType"/>.</summary>
internal static class ScalarTypes
{
    /// <summary>
    /// The C++ names that the observer writes inside <c>Tensor(…)</c> (<c>caffe2::TypeMeta::name()</c>). Compilers
    /// spell some of them differently: <c>long int</c> with GCC, which PyTorch's own binaries have, comes first, <c>long</c> with Clang.
    /// </summary>
    private static readonly KeyValuePair<string, ScalarType>[] NamesInTraces = [.. new Dictionary<string, ScalarType>
    {
        ["unsigned char"] = ScalarType.Byte,
        ["signed char"] = ScalarType.Char,
        ["char"] = ScalarType.Char,
        ["short int"] = ScalarType.Short,
        ["short"] = ScalarType.Short,
        ["int"] = ScalarType.Int,
        ["long int"] = ScalarType.Long,
        ["long"] = ScalarType.Long,
        ["long long"] = ScalarType.Long,
        ["long long int"] = ScalarType.Long,
        ["__int64"] = ScalarType.Long,
        ["c10::Half"] = ScalarType.Half,
        ["float"] = ScalarType.Float,
        ["double"] = ScalarType.Double,
        ["c10::complex<c10::Half>"] = ScalarType.ComplexHalf,
        ["c10::complex<float>"] = ScalarType.ComplexFloat,
        ["c10::complex<double>"] = ScalarType.ComplexDouble,
        ["bool"] = ScalarType.Bool,
        ["c10::qint8"] = ScalarType.QInt8,
        ["c10::quint8"] = ScalarType.QUInt8,
        ["c10::qint32"] = ScalarType.QInt32,
        ["c10::BFloat16"] = ScalarType.BFloat16,
        ["c10::Float8_e5m2"] = ScalarType.Float8E5M2,
        ["c10::Float8_e4m3fn"] = ScalarType.Float8E4M3Fn,
        ["c10::Float8_e5m2fnuz"] = ScalarType.Float8E5M2Fnuz,
        ["c10::Float8_e4m3fnuz"] = ScalarType.Float8E4M3Fnuz,
        ["short unsigned int"] = ScalarType.UInt16,
        ["unsigned short"] = ScalarType.UInt16,
        ["unsigned int"] = ScalarType.UInt32,
        ["long unsigned int"] = ScalarType.UInt64,
        ["unsigned long"] = ScalarType.UInt64,
        ["c10::Float8_e8m0fnu"] = ScalarType.Float8E8M0Fnu,
        ["c10::Float4_e2m1fn_x2"] = ScalarType.Float4E2M1FnX2,
        ["c10::quint4x2"] = ScalarType.QUInt4x2,
        ["c10::quint2x4"] = ScalarType.QUInt2x4,
        ["c10::bits1x8"] = ScalarType.Bits1x8,
        ["c10::bits2x4"] = ScalarType.Bits2x4,
        ["c10::bits4x2"] = ScalarType.Bits4x2,
        ["c10::bits8"] = ScalarType.Bits8,
        ["c10::bits16"] = ScalarType.Bits16,
    }.Concat(SmallIntegers())];

    private static readonly FrozenDictionary<string, ScalarType> ByTraceName = NamesInTraces.ToFrozenDictionary();

    /// <summary>The integers of 1 to 7 bits; compilers write the number with or without a suffix.</summary>
    private static IEnumerable<KeyValuePair<string, ScalarType>> SmallIntegers() =>
        from bits in Enumerable.Range(1, 7)
        from suffix in new[] { "", "u" }
        from isSigned in new[] { false, true }
        select KeyValuePair.Create($"c10::dummy_{(isSigned ? "int" : "uint")}1_7_t<{bits}{suffix}>",
            (ScalarType)((int)(isSigned ? ScalarType.Int1 : ScalarType.UInt1) + bits - 1));

    /// <summary>The type of a name as the observer writes it, or <see cref="ScalarType.Undefined"/>.</summary>
    /// <param name="name">For example <c>float</c> or <c>c10::BFloat16</c>.</param>
    public static ScalarType FromTraceName(string name) => ByTraceName.GetValueOrDefault(name, ScalarType.Undefined);

    private static readonly FrozenDictionary<ScalarType, string> TraceNames =
        NamesInTraces.DistinctBy(p => p.Value).ToFrozenDictionary(p => p.Value, p => p.Key);

    /// <summary>The name as the observer writes it: <c>long int</c>, <c>c10::BFloat16</c>.</summary>
    /// <param name="type">The element type.</param>
    public static string TraceName(this ScalarType type) => TraceNames.GetValueOrDefault(type, "nullptr (uninitialized)");

    /// <summary>The names that Python code knows the types by (<c>torch.float32</c> without <c>torch.</c>); packages use them.</summary>
    private static readonly FrozenDictionary<ScalarType, string> TorchNames = new Dictionary<ScalarType, string>
    {
        [ScalarType.Byte] = "uint8",
        [ScalarType.Char] = "int8",
        [ScalarType.Short] = "int16",
        [ScalarType.Int] = "int32",
        [ScalarType.Long] = "int64",
        [ScalarType.Half] = "float16",
        [ScalarType.Float] = "float32",
        [ScalarType.Double] = "float64",
        [ScalarType.ComplexHalf] = "complex32",
        [ScalarType.ComplexFloat] = "complex64",
        [ScalarType.ComplexDouble] = "complex128",
        [ScalarType.Bool] = "bool",
        [ScalarType.QInt8] = "qint8",
        [ScalarType.QUInt8] = "quint8",
        [ScalarType.QInt32] = "qint32",
        [ScalarType.BFloat16] = "bfloat16",
        [ScalarType.Float8E5M2] = "float8_e5m2",
        [ScalarType.Float8E4M3Fn] = "float8_e4m3fn",
        [ScalarType.Float8E5M2Fnuz] = "float8_e5m2fnuz",
        [ScalarType.Float8E4M3Fnuz] = "float8_e4m3fnuz",
        [ScalarType.UInt16] = "uint16",
        [ScalarType.UInt32] = "uint32",
        [ScalarType.UInt64] = "uint64",
        [ScalarType.QUInt4x2] = "quint4x2",
        [ScalarType.QUInt2x4] = "quint2x4",
        [ScalarType.Bits1x8] = "bits1x8",
        [ScalarType.Bits2x4] = "bits2x4",
        [ScalarType.Bits4x2] = "bits4x2",
        [ScalarType.Bits8] = "bits8",
        [ScalarType.Bits16] = "bits16",
        [ScalarType.UInt1] = "uint1",
        [ScalarType.UInt2] = "uint2",
        [ScalarType.UInt3] = "uint3",
        [ScalarType.UInt4] = "uint4",
        [ScalarType.UInt5] = "uint5",
        [ScalarType.UInt6] = "uint6",
        [ScalarType.UInt7] = "uint7",
        [ScalarType.Int1] = "int1",
        [ScalarType.Int2] = "int2",
        [ScalarType.Int3] = "int3",
        [ScalarType.Int4] = "int4",
        [ScalarType.Int5] = "int5",
        [ScalarType.Int6] = "int6",
        [ScalarType.Int7] = "int7",
        [ScalarType.Float8E8M0Fnu] = "float8_e8m0fnu",
        [ScalarType.Float4E2M1FnX2] = "float4_e2m1fn_x2",
        [ScalarType.Undefined] = "undefined",
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, ScalarType> ByTorchName = TorchNames.ToFrozenDictionary(p => p.Value, p => p.Key);

    /// <summary>The name in Python, without <c>torch.</c>: <c>float32</c>.</summary>
    /// <param name="type">The element type.</param>
    public static string TorchName(this ScalarType type) => TorchNames[type];

    /// <summary>The type of a Python name.</summary>
    /// <param name="name">For example <c>float32</c>.</param>
    /// <param name="type">The type, where there is one.</param>
    public static bool TryFromTorchName(string name, out ScalarType type) => ByTorchName.TryGetValue(name, out type);

    /// <summary>Bytes of one element; 0 for <see cref="ScalarType.Undefined"/>.</summary>
    /// <param name="type">The element type.</param>
    public static int SizeBytes(this ScalarType type) => type switch
    {
        ScalarType.Undefined => 0,
        ScalarType.ComplexDouble => 16,
        ScalarType.Long or ScalarType.Double or ScalarType.ComplexFloat or ScalarType.UInt64 => 8,
        ScalarType.Int or ScalarType.Float or ScalarType.ComplexHalf or ScalarType.QInt32 or ScalarType.UInt32 => 4,
        ScalarType.Short or ScalarType.Half or ScalarType.BFloat16 or ScalarType.UInt16 or ScalarType.Bits16 => 2,
        _ => 1,
    };

    /// <summary>Whether the type is a real or complex floating-point type.</summary>
    /// <param name="type">The element type.</param>
    public static bool IsFloating(this ScalarType type) => type is ScalarType.Half or ScalarType.Float
        or ScalarType.Double or ScalarType.BFloat16 or ScalarType.ComplexHalf or ScalarType.ComplexFloat
        or ScalarType.ComplexDouble or (>= ScalarType.Float8E5M2 and <= ScalarType.Float8E4M3Fnuz)
        or ScalarType.Float8E8M0Fnu or ScalarType.Float4E2M1FnX2;
}
