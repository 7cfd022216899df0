using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Mystique.Diagnostics;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// The native functions that the engine calls. Those of LibTorchSharp are TorchSharp's own C interface; those of
/// libtorch_cpu are C++ functions by their mangled names, for libtorch 2.10 with the Itanium ABI (Linux, macOS).
/// </summary>
internal static unsafe partial class LibTorch
{
    private static readonly Lock Gate = new();
    private static bool _isLoaded;

    /// <summary>Results of a method that there is room for.</summary>
    private const nuint MaxResults = 8;

    [ThreadStatic]
    private static nint _results;

    [ThreadStatic]
    private static bool _isPrepared;

    /// <summary>One argument or result of a TorchScript method (<c>TensorOrScalar</c> in LibTorchSharp's <c>THSJIT.h</c>).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Argument
    {
        public const long Tensor = 0;
        public const long Int = 3;

        public long TypeCode;
        public long ArrayIndex;
        public nint Handle;
    }

    /// <summary>
    /// Loads libtorch. On a host whose libstdc++ is too old for TorchSharp's library, patches the application's own copy
    /// of that library first, once.
    /// </summary>
    /// <exception cref="MystiqueException">A library is missing or cannot be loaded (MYS401, MYS402).</exception>
    public static void Load()
    {
        lock (Gate)
        {
            if (_isLoaded)
                return;
            string path = FindLibrary();
            if (!NativeLibrary.TryLoad(path, out _))
                PatchAndLoad(path);
            // One call through TorchSharp makes it find the same library.
            global::TorchSharp.torch.InitializeDeviceType(global::TorchSharp.DeviceType.CPU);
            _isLoaded = true;
        }
    }

    /// <summary>
    /// Turns the graph executor's optimiser off for this thread: libtorch keeps the setting for each one
    /// (<c>thread_local kOptimize</c>, <c>torch/csrc/jit/python/update_graph_executor_opt.cpp</c>).
    /// </summary>
    public static void PrepareThread()
    {
        if (_isPrepared)
            return;
        SetGraphExecutorOptimize(0);
        _isPrepared = true;
    }

    /// <summary>The version of the libtorch package that this was built with.</summary>
    public static string Version { get; } = typeof(LibTorch).Assembly
        .GetCustomAttributes(typeof(System.Reflection.AssemblyMetadataAttribute), false)
        .Cast<System.Reflection.AssemblyMetadataAttribute>().First(a => a.Key == "LibTorchVersion").Value!;

    private static void PatchAndLoad(string path)
    {
        try
        {
            NativeLibrary.Load(path);
        }
        catch (DllNotFoundException exception) when (exception.Message.Contains(SymbolVersionPatcher.MissingVersion,
            StringComparison.Ordinal))
        {
            try
            {
                SymbolVersionPatcher.Patch(path);
                NativeLibrary.Load(path);
            }
            catch (Exception cause) when (cause is IOException or UnauthorizedAccessException or DllNotFoundException)
            {
                throw Problems.NativeLibraryNotPatched(path, cause);
            }
        }
        catch (DllNotFoundException exception)
        {
            throw Problems.NativeLibraryMissing(path, exception);
        }
    }

    private static string FindLibrary()
    {
        string name = OperatingSystem.IsWindows() ? "LibTorchSharp.dll" : OperatingSystem.IsMacOS() ? "libLibTorchSharp.dylib"
            : "libLibTorchSharp.so";
        string[] places =
        [
            Path.Combine(AppContext.BaseDirectory, name),
            Path.Combine(AppContext.BaseDirectory, "runtimes", RuntimeInformation.RuntimeIdentifier, "native", name),
            Path.Combine(AppContext.BaseDirectory, "runtimes", PortableRuntimeIdentifier, "native", name),
        ];
        return places.FirstOrDefault(File.Exists) ?? throw Problems.NativeLibraryMissing(places[0], null);
    }

    private static string PortableRuntimeIdentifier => (OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux")
        + (RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "-arm64" : "-x64");

    /// <summary>Throws what the last call left behind, if anything.</summary>
    /// <exception cref="ExternalException">The last call failed.</exception>
    public static void ThrowIfFailed()
    {
        nint message = GetAndResetLastError();
        if (message != 0)
            throw new ExternalException(Marshal.PtrToStringUTF8(message));
    }

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTorch_get_and_reset_last_err")]
    private static partial nint GetAndResetLastError();

    [LibraryImport("LibTorchSharp", EntryPoint = "THSJIT_load_byte_array")]
    public static partial nint LoadModule(byte* bytes, long size, long deviceType, long deviceIndex);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSJIT_Module_dispose")]
    public static partial void DisposeModule(nint module);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSJIT_Module_invoke")]
    public static partial void InvokeModule(nint module, byte* name, Argument* arguments, int count,
        delegate* unmanaged[Cdecl]<int, nuint, nint> allocator, sbyte* typeCode, int index);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    public static partial nint TensorData(nint tensor);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_dispose")]
    public static partial void DisposeTensor(nint tensor);

    /// <summary>A tensor without an implementation, <c>at::Tensor()</c> (<c>torch/csrc/inductor/aoti_torch/c/shim.h</c>).</summary>
    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_new_uninitialized_tensor")]
    public static partial int NewUndefinedTensor(out nint tensor);

    /// <summary>A tensor on memory that somebody else owns (<c>torch/csrc/inductor/aoti_torch/c/shim.h</c>); 0 for success.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_create_tensor_from_blob")]
    public static partial int NewTensorFromBlob(nint data, long dimensions, long* sizes, long* strides, long offset,
        int scalarType, int deviceType, int deviceIndex, out nint tensor);

    /// <summary><c>torch::jit::setGraphExecutorOptimize(bool)</c>: off, or common subexpressions would be merged.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch3jit24setGraphExecutorOptimizeEb")]
    private static partial void SetGraphExecutorOptimize(byte on);

    /// <summary><c>bool torch::profiler::impl::addExecutionTraceObserver(const std::string&amp;)</c>.</summary>
    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8profiler4impl25addExecutionTraceObserverERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool AddExecutionTraceObserver(StdString* path);

    /// <summary><c>void torch::profiler::impl::enableExecutionTraceObserver()</c>.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch8profiler4impl28enableExecutionTraceObserverEv")]
    public static partial void EnableExecutionTraceObserver();

    /// <summary><c>void torch::profiler::impl::disableExecutionTraceObserver()</c>.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch8profiler4impl29disableExecutionTraceObserverEv")]
    public static partial void DisableExecutionTraceObserver();

    /// <summary><c>void torch::profiler::impl::removeExecutionTraceObserver()</c>; writes what is left and closes the file.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch8profiler4impl28removeExecutionTraceObserverEv")]
    public static partial void RemoveExecutionTraceObserver();

    /// <summary>
    /// Memory for the results of a method. A method of a program has one result at most, None counts as one, and all are called
    /// one after the other: each thread has one place for it, as nobody gives it back.
    /// </summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static nint AllocateResults(int index, nuint count)
    {
        if (_results == 0)
            _results = (nint)NativeMemory.AllocZeroed(MaxResults, (nuint)sizeof(Argument));
        return count <= MaxResults ? _results : 0;
    }

    /// <summary>The only result of the last method called on this thread: a tensor.</summary>
    public static nint TakeResult() => ((Argument*)_results)->Handle;

    /// <summary>Loads a library of operators; loading it registers them with libtorch, which it must have been built for.</summary>
    /// <param name="path">The library's file.</param>
    /// <exception cref="MystiqueException">It cannot be loaded (MYS408).</exception>
    public static void LoadOperators(string path)
    {
        try
        {
            NativeLibrary.Load(Path.GetFullPath(path));
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            throw Problems.OperatorLibraryNotLoaded(path, exception);
        }
    }
}
