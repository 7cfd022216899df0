using BenchmarkDotNet.Running;
using Mystique.Benchmarks;

if (args is ["fleet", .. var rest])
    FleetEvaluation.Run(rest);
else if (args is ["parts", .. var traces])
    await ControlEvaluation.RunAsync(traces);
else
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
