using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mystique.Packaging;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Tests.Packaging;

/// <summary>The rules of a manifest say what the code means, and what is written keeps to them.</summary>
public class ManifestRulesTests
{
    [Fact]
    public void ElementBytes_AreThoseOfTheElementTypes() => Assert.Equal(
        Enum.GetValues<ScalarType>().ToDictionary(t => t.TorchName(), t => t.SizeBytes()).OrderBy(p => p.Key, StringComparer.Ordinal),
        ManifestRules.ElementBytes.OrderBy(p => p.Key, StringComparer.Ordinal));

    [Fact]
    public void KindsOfContents_AreThoseOfInitializers()
    {
        using var rules = JsonDocument.Parse(ManifestRules.Text);
        string kinds = rules.RootElement.GetProperty("manifest").GetProperty("storages")[0].GetProperty("init?").GetProperty("kind")
            .GetString()!;
        Assert.Equal(Enum.GetNames<InitializerKind>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName),
            kinds.Split(':')[1..]);
    }

    /// <summary>Each field that the code writes is one that the rules have: else no package that has it can be written.</summary>
    [Fact]
    public void FieldsOfRules_AreThoseOfTheTypes()
    {
        using var rules = JsonDocument.Parse(ManifestRules.Text);
        var words = rules.RootElement.GetProperty("words");
        List<string> others = [];
        Compare(rules.RootElement.GetProperty("manifest"), ManifestContext.Default.Manifest, "manifest");
        Assert.Empty(others);

        void Compare(JsonElement rule, JsonTypeInfo type, string place)
        {
            if (rule.ValueKind == JsonValueKind.String && words.TryGetProperty(rule.GetString()!, out var word))
                rule = word;
            if (rule.ValueKind == JsonValueKind.Array && type.Kind == JsonTypeInfoKind.Enumerable)
            {
                Compare(rule[0], ManifestContext.Default.GetTypeInfo(type.ElementType!)!, place + "[]");
            }
            else if (rule.ValueKind == JsonValueKind.Object && type.Kind == JsonTypeInfoKind.Object)
            {
                var fields = rule.EnumerateObject().ToDictionary(f => f.Name.TrimEnd('?'), f => f.Value);
                var properties = type.Properties.Where(p => p.Get is not null).ToDictionary(p => p.Name);
                others.AddRange(fields.Keys.Except(properties.Keys).Select(name => $"only the rules have {place}.{name}"));
                others.AddRange(properties.Keys.Except(fields.Keys).Select(name => $"the rules lack {place}.{name}"));
                foreach (string name in fields.Keys.Intersect(properties.Keys))
                    Compare(fields[name], ManifestContext.Default.GetTypeInfo(properties[name].PropertyType)!, $"{place}.{name}");
            }
        }
    }

    [Theory]
    [InlineData("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", true)]
    [InlineData("aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", true)]
    [InlineData("_C::rms_norm(Tensor($0! -> ) result, Tensor input, Tensor weight, float epsilon) -> ()", true)]
    [InlineData("aten::_fused_adam_(Tensor(a!)[] self, Tensor(b!)[] grads, *, float lr, Tensor? found_inf=None, bool[3] m=[True, True, "
        + "False]) -> ()", true)]
    [InlineData("aten::native_batch_norm(Tensor input, Tensor? weight) -> (Tensor, Tensor, Tensor _2)", true)]
    [InlineData("aten::gelu(Tensor self, *, str approximate=\"none\") -> Tensor", true)]
    [InlineData("aten::add(Tensor self", false)]
    [InlineData("aten::add); import os(Tensor self) -> Tensor", false)]
    [InlineData("aten::add(Tensor self)->Tensor", false)]
    [InlineData("aten::add(Tensor self) -> Tensor\n", false)]
    [InlineData("add(Tensor self) -> Tensor", false)]
    public void Schema_HasItsForm(string text, bool isSchema)
    {
        Assert.Equal(isSchema, ManifestRules.Form("schema").IsMatch(text));
        if (isSchema)
            Assert.Equal(text, SchemaParser.Parse(text).Text); // What has the form can be parsed.
    }

    /// <summary>The generator's own lines keep to the forms that programs are held to; nothing that does more has one of them.</summary>
    [Theory]
    [InlineData("    t3, t4 = ops.aten.max(t1, 0, keepdim=True)", true)]
    [InlineData("    r1_0 = ops.aten.split(t1, annotate(List[int], []), [1, -2], 1.5E-08, -inf, nan)", true)]
    [InlineData("    ops.aten._foreach_add_(hs[0], annotate(List[number], [1, 2.0]), annotate(List[Optional[Tensor]], [t1, None]))", true)]
    [InlineData("    t1 = ops.aten.zeros([2], dtype=6, device=d[0], pin_memory=False, approximate=\"tanh\")", true)]
    [InlineData("    t1 = ops.aten.relu(ops.aten.relu(t1))", false)]
    [InlineData("    t1 = ops.aten.relu(t1); x()", false)]
    [InlineData("    t1 = ops.aten.relu(t1) # x", false)]
    [InlineData("    t1 = ops.aten.relu(self)", false)]
    [InlineData("    t1 = ops.aten.relu(print(t1))", false)]
    [InlineData("    t1 = ops.aten.relu(t1[0](t2))", false)]
    [InlineData("    t1 = ops.aten.relu(\"\"\"x\"\"\")", false)]
    [InlineData("    x = ops.aten.relu(t1)", false)]
    [InlineData("    s = ops.aten.relu(t1)", false)]
    [InlineData("     t1 = ops.aten.relu(t1)", false)]
    public void Call_HasItsForm(string line, bool isCall) => Assert.Equal(isCall, ManifestRules.Form("call").IsMatch(line));
}
