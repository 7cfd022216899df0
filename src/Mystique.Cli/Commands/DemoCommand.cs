using System.CommandLine;
namespace Mystique.Cli.Commands;
internal static class DemoCommand { public static Command Create() => new("demo"); }
