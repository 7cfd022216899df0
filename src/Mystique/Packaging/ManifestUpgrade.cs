using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mystique.Packaging;

/// <summary>
/// Gives a manifest of format version 2 the names of version 3, and its one rank. What changed is listed in
/// <c>ManifestRules.json</c>, under <c>version_2</c>; <c>run.py</c> reads the same list. Nothing is checked here: what comes out is
/// held to the rules.
/// </summary>
internal static class ManifestUpgrade
{
    private static readonly FrozenDictionary<string, string> Names = ManifestRules.TextsOf("version_2", "names");
    private static readonly FrozenDictionary<string, string> Kinds = ManifestRules.TextsOf("version_2", "kinds");

    /// <summary>The manifest as one of version 3.</summary>
    /// <param name="manifest">A manifest of version 2; no name is in an object twice.</param>
    public static JsonDocument FromVersion2(JsonElement manifest)
    {
        var root = JsonObject.Create(manifest)!;
        foreach (var (old, name) in Names)
        {
            string[] path = old.Split('.');
            if ((path.Length == 1 ? root : root[path[0]]) is JsonObject parent)
                Rename(parent, path[^1], name);
        }
        foreach (var storage in root["storages"] as JsonArray ?? [])
            if ((storage as JsonObject)?["init"] is JsonObject init && init["kind"] is JsonValue value
                && value.TryGetValue(out string? kind) && Kinds.TryGetValue(kind, out string? renamed))
                init["kind"] = renamed;
        FixAddedCount(root);
        var rank = new JsonObject { ["rank"] = 0 };
        if (root["baseline"] is JsonObject baseline)
            foreach (string name in (string[])["rank", "world_size"])
                if (baseline[name] is JsonValue number)
                    rank[name] = number.DeepClone();
        if (!root.ContainsKey("ranks"))
            root["ranks"] = new JsonArray(rank);
        root["format_version"] = Manifest.CurrentVersion;
        return JsonDocument.Parse(root.ToJsonString());
    }

    /// <summary>Substitutes were counted among the added operators.</summary>
    private static void FixAddedCount(JsonObject root)
    {
        if (root["coverage"] is not JsonObject coverage || root["operators"] is not JsonArray operators)
            return;
        string?[] roles = [.. operators.OfType<JsonObject>().Where(o => o.ContainsKey("role"))
            .Select(o => o["role"] is JsonValue role && role.TryGetValue(out string? name) ? name : null)];
        if (coverage["added_operators"] is JsonValue count && count.TryGetValue(out int added) && added == roles.Length)
            coverage["added_operators"] = roles.Count(r => r == "added");
    }

    private static void Rename(JsonObject parent, string old, string name)
    {
        if (parent.ContainsKey(name) || !parent.TryGetPropertyValue(old, out var value))
            return;
        parent.Remove(old);
        parent[name] = value;
    }
}
