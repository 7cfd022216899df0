using System.Runtime.InteropServices;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.TorchSharp.Native;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>A loaded program: calls its functions without a managed object per tensor. Not thread-safe.</summary>
internal sealed unsafe class ScriptProgram : IDisposable
{
    private readonly nint[] _functions;
    private nint _module;

    /// <summary>Loads a program. A source that does not compile ends the process: that is why a worker does this.</summary>
    /// <exception cref="ExternalException">The archive is damaged.</exception>
    public ScriptProgram(ReadOnlySpan<byte> archive, IReadOnlyList<ScheduledCall> schedule)
    {
        LibTorch.Load();
        LibTorch.PrepareThread();
        fixed (byte* bytes = archive)
            _module = LibTorch.LoadModule(bytes, archive.Length, 0, -1);
        LibTorch.ThrowIfFailed();
        _functions = [.. schedule.Select(c => Marshal.StringToCoTaskMemUTF8(c.Function))];
    }

    /// <summary>Whether it is loaded.</summary>
    public bool IsOpen => _module != 0;

    /// <summary>Number of functions.</summary>
    public int Count => _functions.Length;

    /// <summary>Calls a function of the schedule.</summary>
    /// <exception cref="ExternalException">An operator failed; the message is libtorch's.</exception>
    public void Call(int function)
    {
        LibTorch.PrepareThread();
        sbyte typeCode;
        LibTorch.InvokeModule(_module, (byte*)_functions[function], null, 0, &LibTorch.AllocateResults, &typeCode, 0);
        LibTorch.ThrowIfFailed();
    }

    /// <summary>Calls the program's first method, which does nothing.</summary>
    public void CallFirst() => Invoke("first"u8);

    /// <summary>
    /// Calls the program's last method, which does nothing. Methods are looked up one after the other, so it costs more than
    /// the first.
    /// </summary>
    public void CallLast() => Invoke("last"u8);

    /// <summary>Makes the list of slots, all empty.</summary>
    public void Resize(int slots) => Invoke("resize"u8, new LibTorch.Argument { TypeCode = LibTorch.Argument.Int, Handle = slots });

    /// <summary>Adds the device of a tensor to the program's list of devices.</summary>
    public void UseDevice(Tensor tensor) => Invoke("use_device"u8, Of(tensor.Handle));

    /// <summary>Puts a tensor into a slot of the plan.</summary>
    public void Put(Slot slot, Tensor tensor) => Put(slot, tensor.Handle);

    /// <summary>Puts the undefined tensor into a slot of the plan.</summary>
    public void PutUndefined(Slot slot)
    {
        if (LibTorch.NewUndefinedTensor(out nint tensor) != 0)
            throw new ExternalException("libtorch cannot make an undefined tensor");
        Put(slot, tensor);
        LibTorch.DisposeTensor(tensor);
    }

    public void Dispose()
    {
        if (_module == 0)
            return;
        LibTorch.DisposeModule(_module);
        _module = 0;
        foreach (nint name in _functions)
            Marshal.FreeCoTaskMem(name);
    }

    /// <summary>Puts a tensor, by its native handle, into a slot of the plan.</summary>
    public void Put(Slot slot, nint tensor) =>
        Invoke("put"u8, new LibTorch.Argument { TypeCode = LibTorch.Argument.Int, Handle = BenchmarkProgram.PlaceOf(slot) },
            Of(tensor));

    /// <summary>The tensor in a slot of the plan; without elements where it is freed.</summary>
    public Tensor Get(Slot slot)
    {
        Invoke("get"u8, new LibTorch.Argument { TypeCode = LibTorch.Argument.Int, Handle = BenchmarkProgram.PlaceOf(slot) });
        return Tensor.UnsafeCreateTensor(LibTorch.TakeResult());
    }

    private static LibTorch.Argument Of(nint tensor) => new() { TypeCode = LibTorch.Argument.Tensor, ArrayIndex = -1, Handle = tensor };

    private void Invoke(ReadOnlySpan<byte> name, params ReadOnlySpan<LibTorch.Argument> arguments)
    {
        sbyte typeCode;
        fixed (byte* text = name) // A UTF-8 literal ends in a zero.
        fixed (LibTorch.Argument* values = arguments)
            LibTorch.InvokeModule(_module, text, values, arguments.Length, &LibTorch.AllocateResults, &typeCode, 0);
        LibTorch.ThrowIfFailed();
    }
}
