using System.Collections.Immutable;
using Mystique.Execution.Workers;

namespace Mystique.Execution;

/// <summary>What a worker's process knows of operators, with no package open.</summary>
internal interface IDescribesOperators
{
    /// <summary>By full name, the schemas of all overloads of operators.</summary>
    /// <param name="names">Qualified names, for example <c>aten::add</c>.</param>
    ImmutableDictionary<string, string> OverloadsOf(IEnumerable<string> names);

    /// <summary>What a call gives back.</summary>
    DescribedResult Describe(DescribedCall call);
}
