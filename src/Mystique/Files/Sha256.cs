using System.Buffers.Binary;
using System.Numerics;

namespace Mystique.Files;

/// <summary>SHA-256 (FIPS 180-4, section 6.2).</summary>
internal sealed class Sha256
{
    private const int BlockLength = 64;
    private const int Rounds = 64;

    private static readonly uint[] Constants = [.. Primes(Rounds).Select(p => Fraction(p, Math.Cbrt, 3))];
    private static readonly uint[] Start = [.. Primes(8).Select(p => Fraction(p, Math.Sqrt, 2))];

    private readonly uint[] _state;
    private readonly byte[] _rest;
    private long _length;

    public Sha256() : this(Start, new byte[BlockLength], 0)
    {
    }

    private Sha256(uint[] state, byte[] rest, long length) => (_state, _rest, _length) = ([.. state], [.. rest], length);

    /// <summary>Another one that goes on from here.</summary>
    public Sha256 Copy() => new(_state, _rest, _length);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        int kept = (int)(_length % BlockLength);
        _length += bytes.Length;
        if (kept > 0)
        {
            int taken = Math.Min(bytes.Length, BlockLength - kept);
            bytes[..taken].CopyTo(_rest.AsSpan(kept));
            bytes = bytes[taken..];
            if (kept + taken < BlockLength)
                return;
            Mix(_rest);
        }
        for (; bytes.Length >= BlockLength; bytes = bytes[BlockLength..])
            Mix(bytes);
        bytes.CopyTo(_rest);
    }

    /// <summary>The digest; then it begins anew.</summary>
    public byte[] End()
    {
        long bits = _length * 8;
        int kept = (int)(_length % BlockLength);
        byte[] end = new byte[(kept < BlockLength - 8 ? BlockLength : 2 * BlockLength) - kept];
        end[0] = 0x80;
        BinaryPrimitives.WriteInt64BigEndian(end.AsSpan(end.Length - 8), bits);
        Append(end);
        byte[] digest = new byte[4 * _state.Length];
        for (int i = 0; i < _state.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(digest.AsSpan(4 * i), _state[i]);
        Start.CopyTo(_state, 0);
        _length = 0;
        return digest;
    }

    private void Mix(ReadOnlySpan<byte> block)
    {
        Span<uint> words = stackalloc uint[Rounds];
        for (int i = 0; i < 16; i++)
            words[i] = BinaryPrimitives.ReadUInt32BigEndian(block[(4 * i)..]);
        for (int i = 16; i < Rounds; i++)
        {
            uint early = words[i - 15], late = words[i - 2];
            words[i] = words[i - 16] + words[i - 7]
                + (BitOperations.RotateRight(early, 7) ^ BitOperations.RotateRight(early, 18) ^ (early >> 3))
                + (BitOperations.RotateRight(late, 17) ^ BitOperations.RotateRight(late, 19) ^ (late >> 10));
        }
        uint a = _state[0], b = _state[1], c = _state[2], d = _state[3], e = _state[4], f = _state[5], g = _state[6], h = _state[7];
        for (int i = 0; i < Rounds; i++)
        {
            uint first = h + (BitOperations.RotateRight(e, 6) ^ BitOperations.RotateRight(e, 11) ^ BitOperations.RotateRight(e, 25))
                + ((e & f) ^ (~e & g)) + Constants[i] + words[i];
            uint second = (BitOperations.RotateRight(a, 2) ^ BitOperations.RotateRight(a, 13) ^ BitOperations.RotateRight(a, 22))
                + ((a & b) ^ (a & c) ^ (b & c));
            (h, g, f, e, d, c, b, a) = (g, f, e, d + first, c, b, a, first + second);
        }
        ReadOnlySpan<uint> mixed = [a, b, c, d, e, f, g, h];
        for (int i = 0; i < mixed.Length; i++)
            _state[i] += mixed[i];
    }

    private static IEnumerable<int> Primes(int count) =>
        Enumerable.Range(2, int.MaxValue - 2).Where(n => Enumerable.Range(2, n - 2).All(d => n % d != 0)).Take(count);

    /// <summary>The first 32 bits of a root's fraction, section 4.2.2; exact, whatever the last bits of the estimate are.</summary>
    private static uint Fraction(int prime, Func<double, double> root, int power)
    {
        var scaled = (BigInteger)prime << (32 * power);
        var found = (BigInteger)(root(prime) * (1L << 32));
        while (BigInteger.Pow(found, power) > scaled)
            found--;
        while (BigInteger.Pow(found + 1, power) <= scaled)
            found++;
        return (uint)(found & uint.MaxValue);
    }
}
