using System.Runtime.InteropServices;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// libtorch's profiler as C++ calls it (<c>torch/csrc/autograd/profiler_kineto.h</c>,
/// <c>torch/csrc/profiler/orchestration/observer.h</c>), by mangled names, for libtorch 2.10 with libstdc++. Objects of
/// C++ are made in memory of ours by libtorch's own constructors, or, where the compiler would make them, laid out here.
/// </summary>
internal static unsafe partial class KinetoLibrary
{
    /// <summary>More than any of these objects has.</summary>
    private const int ObjectBytes = 1024;

    private const int StateKineto = 6; // ProfilerState::KINETO
    private const int ActivityCpu = 0; // ActivityType::CPU
    private const int ActivityCuda = 2; // ActivityType::CUDA, which stands for ROCm, too.

    /// <summary>Starts to profile operators of this thread, and what autograd runs for it, and with them each allocation.</summary>
    /// <param name="withDevice">
    /// Whether to profile CUDA's runtime and what runs on the device, too: a libtorch that is built without CUDA's profiler leaves that
    /// out.
    /// </param>
    public static void Enable(bool withDevice)
    {
        using var memory = new Scratch();
        byte* config = MakeConfig(memory);
        byte* activities = MakeActivities(memory, withDevice);
        Prepare(config, activities);
        EnableProfiler(config, activities, MakeScopes(memory));
    }

    /// <summary>Ends profiling, and writes a Kineto profile.</summary>
    /// <param name="path">The file; overwritten.</param>
    public static void DisableAndSave(string path)
    {
        nint result = 0;
        DisableProfiler(&result);
        byte[] utf8 = System.Text.Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* data = utf8)
        {
            var text = StdString.Over(data, utf8.Length - 1);
            Save(result, &text);
        }
        DestroyResult(result);
        NativeMemory.Free((void*)result); // operator delete is free(3) in libstdc++.
    }

    /// <summary><c>ProfilerConfig</c> with <c>profile_memory</c>.</summary>
    private static byte* MakeConfig(Scratch memory)
    {
        byte* experimental = memory.Take();
        byte* metrics = memory.Take();
        byte* events = memory.Take(); // A std::vector of zeros is an empty one.
        MakeExperimentalConfig(experimental, metrics, 0, 0, events, 0, 0, 0, 0, 0, 0, 0, MakeString(memory), 0);
        byte* config = memory.Take();
        MakeProfilerConfig(config, StateKineto, 1, 1, 0, 0, 0, experimental, MakeString(memory));
        return config;
    }

    /// <summary>An empty <c>std::string</c>: it points at its own short text.</summary>
    private static byte* MakeString(Scratch memory)
    {
        byte* text = memory.Take();
        *(byte**)text = text + 2 * sizeof(nint);
        return text;
    }

    /// <summary>
    /// <c>std::set&lt;ActivityType&gt;{CPU}</c>, or <c>{CPU, CUDA}</c>: a red-black tree's header (its colour, root, first, last, count)
    /// with a black node, and a red one to its right.
    /// </summary>
    private static byte* MakeActivities(Scratch memory, bool withDevice)
    {
        byte* set = memory.Take();
        byte** header = (byte**)(set + sizeof(nint));
        byte* node = memory.Take();
        header[1] = header[2] = header[3] = node;
        header[4] = (byte*)1;
        *(int*)node = 1;
        ((byte**)node)[1] = (byte*)header;
        *(int*)(node + 4 * sizeof(nint)) = ActivityCpu;
        if (!withDevice)
            return set;
        byte* right = memory.Take(); // Its colour, 0, is red; it has no children.
        ((byte**)right)[1] = node;
        *(int*)(right + 4 * sizeof(nint)) = ActivityCuda;
        ((byte**)node)[3] = header[3] = right;
        header[4] = (byte*)2;
        return set;
    }

    /// <summary>
    /// An empty <c>std::unordered_set&lt;RecordScope&gt;</c>, which stands for all scopes: one bucket of its own, and a load
    /// factor of 1.
    /// </summary>
    private static byte* MakeScopes(Scratch memory)
    {
        byte* set = memory.Take();
        byte** words = (byte**)set;
        words[0] = (byte*)(words + 6);
        words[1] = (byte*)1;
        *(float*)(words + 4) = 1;
        return set;
    }

    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8profiler4impl18ExperimentalConfigC1ESt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaI"
        + "cEEESaIS9_EEbbSB_bbbbbbbS9_b")]
    private static partial void MakeExperimentalConfig(byte* self, byte* metrics, byte measurePerKernel, byte verbose, byte* events,
        byte syncEvents, byte adjustStep,
        byte disableExternalCorrelation, byte allThreads, byte overloadNames, byte pythonGc, byte exposeMetadata, byte* custom,
            byte adjustTimestamps);

    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8profiler4impl14ProfilerConfigC1ENS1_13ProfilerStateEbbbbbNS1_18ExperimentalConfigENSt7__cxx111"
        + "2basic_stringIcSt11char_traitsIcESaIcEEE")]
    private static partial void MakeProfilerConfig(byte* self, int state, byte shapes, byte memory, byte stack, byte flops, byte modules,
        byte* experimental, byte* traceId);

    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8autograd8profiler15prepareProfilerERKNS_8profiler4impl14ProfilerConfigERKSt3setINS3_12Activity"
        + "TypeESt4lessIS8_ESaIS8_EE")]
    private static partial void Prepare(byte* config, byte* activities);

    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8autograd8profiler14enableProfilerERKNS_8profiler4impl14ProfilerConfigERKSt3setINS3_12ActivityT"
        + "ypeESt4lessIS8_ESaIS8_EERKSt13unordered_setIN2at11RecordScopeESt4hashISH_ESt8equal_toISH_ESaISH_EE")]
    private static partial void EnableProfiler(byte* config, byte* activities, byte* scopes);

    /// <summary>Its result, a <c>std::unique_ptr</c>, comes in the caller's memory.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch8autograd8profiler15disableProfilerEv")]
    private static partial void DisableProfiler(nint* result);

    [LibraryImport("torch_cpu", EntryPoint =
        "_ZN5torch8autograd8profiler14ProfilerResult4saveERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE")]
    private static partial void Save(nint result, StdString* path);

    [LibraryImport("torch_cpu", EntryPoint = "_ZN5torch8autograd8profiler14ProfilerResultD1Ev")]
    private static partial void DestroyResult(nint result);

    /// <summary>Zeroed memory, all of it given back at the end.</summary>
    private sealed class Scratch : IDisposable
    {
        private readonly List<nint> _blocks = [];

        public byte* Take()
        {
            void* block = NativeMemory.AllocZeroed(ObjectBytes);
            _blocks.Add((nint)block);
            return (byte*)block;
        }

        public void Dispose()
        {
            foreach (nint block in _blocks)
                NativeMemory.Free((void*)block);
        }
    }
}
