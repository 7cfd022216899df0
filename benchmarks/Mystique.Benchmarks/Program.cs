using BenchmarkDotNet.Running;
using Mystique.Benchmarks;

if (args is ["fleet", .. var rest])
    FleetEvaluation.Run(rest);
else
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
