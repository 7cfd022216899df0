using System.CommandLine;
namespace Mystique.Cli.Commands;
internal static class InspectCommand { public static Command Create() => new("inspect"); }
