using System.Runtime.InteropServices;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// libtorch's registry of operators (<c>aten/src/ATen/core/dispatch/Dispatcher.h</c>), by the mangled names of libtorch
/// 2.10 and the Itanium ABI.
/// </summary>
internal static unsafe partial class Dispatcher
{
    /// <summary>
    /// An <c>OperatorEntry</c> starts with the operator's name, two strings, and its schema
    /// (<c>aten/src/ATen/core/dispatch/OperatorEntry.h</c>); an <c>OperatorDef</c> starts with the entry.
    /// </summary>
    private static readonly int SchemaOffset = 2 * sizeof(StdString);

    /// <summary>More than any <c>std::ostringstream</c> takes (376 bytes in libstdc++).</summary>
    private const int StreamBytes = 1024;

    /// <summary>The schemas that libtorch has now.</summary>
    /// <param name="names">Full names, for example <c>aten::add.Tensor</c>.</param>
    /// <returns>For each name that is registered, its schema as PyTorch prints it.</returns>
    public static Dictionary<string, string> SchemasOf(IEnumerable<string> names)
    {
        LibTorch.Load();
        var known = OperatorNames();
        var schemas = new Dictionary<string, string>();
        nint dispatcher = DispatcherSingleton();
        foreach (string name in names)
        {
            if (!known.Contains(name) || schemas.ContainsKey(name))
                continue;
            int dot = name.IndexOf('.', name.IndexOf("::", StringComparison.Ordinal));
            nint text = Marshal.StringToCoTaskMemUTF8(dot < 0 ? name : name[..dot]);
            nint overload = Marshal.StringToCoTaskMemUTF8(dot < 0 ? "" : name[(dot + 1)..]);
            OperatorHandle handle;
            FindSchemaOrThrow(&handle, dispatcher, text, overload);
            schemas.Add(name, Print(handle.Definition + SchemaOffset));
            Marshal.FreeCoTaskMem(text);
            Marshal.FreeCoTaskMem(overload);
        }
        return schemas;
    }

    /// <summary>The full names (<c>aten::add.Tensor</c>) of all operators that are registered now.</summary>
    public static HashSet<string> OperatorNames()
    {
        var names = new HashSet<string>();
        StdVector vector;
        GetAllOperatorNames(&vector, DispatcherSingleton());
        // An OperatorName is two strings: name and overload (aten/src/ATen/core/operator_name.h). The vector is not
        // given back: it is read a few times in a process.
        for (var name = (StdString*)vector.Begin; name < (StdString*)vector.End; name += 2)
        {
            string overload = name[1].ToString();
            names.Add(overload.Length == 0 ? name[0].ToString() : $"{name[0]}.{overload}");
        }
        return names;
    }

    private static string Print(nint schema)
    {
        byte* stream = stackalloc byte[StreamBytes];
        ConstructStream(stream);
        PrintSchema(stream, schema);
        StdString text;
        StreamText(&text, stream);
        string printed = text.ToString();
        DestroyString(&text);
        DestroyStream(stream);
        return printed;
    }

    /// <summary>libstdc++'s <c>std::vector</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct StdVector
    {
        public nint Begin;
        public nint End;
        public nint Capacity;
    }

    /// <summary><c>c10::OperatorHandle</c>: the definition, and its place in the dispatcher's list.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct OperatorHandle
    {
        public nint Definition;
        public nint Position;
    }

    /// <summary><c>c10::Dispatcher&amp; c10::Dispatcher::realSingleton()</c>.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN3c1010Dispatcher13realSingletonEv")]
    private static partial nint DispatcherSingleton();

    /// <summary><c>std::vector&lt;c10::OperatorName&gt; c10::Dispatcher::getAllOpNames()</c>; the result comes first.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN3c1010Dispatcher13getAllOpNamesEv")]
    private static partial void GetAllOperatorNames(StdVector* result, nint dispatcher);

    /// <summary><c>c10::OperatorHandle c10::Dispatcher::findSchemaOrThrow(const char*, const char*)</c>; the result comes first.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN3c1010Dispatcher17findSchemaOrThrowEPKcS2_")]
    private static partial void FindSchemaOrThrow(OperatorHandle* result, nint dispatcher, nint name, nint overload);

    /// <summary><c>std::ostream&amp; c10::operator&lt;&lt;(std::ostream&amp;, const c10::FunctionSchema&amp;)</c>.</summary>
    [LibraryImport("torch_cpu", EntryPoint = "_ZN3c10lsERSoRKNS_14FunctionSchemaE")]
    private static partial nint PrintSchema(byte* stream, nint schema);

    [LibraryImport("libstdc++.so.6", EntryPoint = "_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev")]
    private static partial void ConstructStream(byte* stream);

    [LibraryImport("libstdc++.so.6", EntryPoint = "_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEED1Ev")]
    private static partial void DestroyStream(byte* stream);

    [LibraryImport("libstdc++.so.6", EntryPoint = "_ZNKSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEE3strEv")]
    private static partial void StreamText(StdString* result, byte* stream);

    [LibraryImport("libstdc++.so.6", EntryPoint = "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEED1Ev")]
    private static partial void DestroyString(StdString* text);
}
