namespace Mystique.Traces.Kineto;

/// <summary>
/// Categories of events: today's names (<c>libkineto/src/ActivityType.cpp</c>), those of PyTorch 1.8 to 1.11 (<c>Operator</c>,
/// <c>Kernel</c>, <c>Memcpy</c>, <c>Runtime</c>), and those of vendors' plug-ins, which end alike (<c>mtia_runtime</c>,
/// <c>xpu_driver</c>, <c>privateuse1_runtime</c>, <c>gcu_kernel</c>, <c>hpu_memcpy</c>).
/// </summary>
internal static class KinetoCategories
{
    /// <summary>What an event of a category is; null for one that says nothing of what ran when.</summary>
    public static KinetoKind? KindOf(string category)
    {
        if (Is(category, "cpu_op") || Is(category, "operator"))
            return KinetoKind.Operator;
        if (Is(category, "user_annotation"))
            return KinetoKind.Label;
        if (EndsIn(category, "kernel") || Is(category, "mtia_ccp_events") || Is(category, "hpu_op"))
            return KinetoKind.Kernel;
        if (EndsIn(category, "memcpy"))
            return KinetoKind.Memcpy;
        if (EndsIn(category, "memset"))
            return KinetoKind.Memset;
        return EndsIn(category, "runtime") || EndsIn(category, "driver") ? KinetoKind.Runtime : null;
    }

    /// <summary>Whether events of a category are waits for the device, of the host or of a stream.</summary>
    public static bool IsSync(string category) => Is(category, "cuda_sync");

    /// <summary>Whether it is known that nothing is lost without a category.</summary>
    public static bool IsIgnored(string category) => category.ToLowerInvariant() is "python_function" or "trace" or "overhead"
        or "cuda_sync"
        or "cuda_event" or "gpu_user_annotation" or "cpu_instant_event" or "external_correlation" or "collective_comm" or "mtia_insight"
        or "cuda_profiler_range" or "gpu_pm_counter" or "user_defined" or "ac2g" or "fwdbwd" or "async_cpu_to_gpu" or "async_gpu" or "";

    private static bool Is(string category, string name) => category.Equals(name, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a category is a name, or that name with a device's before it.</summary>
    private static bool EndsIn(string category, string name) =>
        Is(category, name) || category.EndsWith("_" + name, StringComparison.OrdinalIgnoreCase);
}
