using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>The choice among all tensors that there are.</summary>
internal sealed partial class FlowSolver
{
    private const double ParameterScore = 3; // That a parameter is not made, but from outside.
    private const double OutsideScore = 0.5; // That anything else is.
    private const double ListedOutsideScore = 0.65; // That one of a list is: lists seldom have one twice.
    private const double MadeScore = 4; // That it is what was made and nobody has used.
    private const double UsedScore = 1;
    private const double KnownOutsideScore = 0.8;
    private const double TakenScore = 0.6; // That it is what another argument is, too.
    private const double FreedScore = 2;
    private const double OtherStridesScore = -0.6;

    /// <summary>Arguments that mostly come with a batch.</summary>
    private static readonly HashSet<string> OutsideNames = ["target", "targets", "labels", "indices", "offsets", "per_sample_weights"];

    private readonly Queue<LiveTensor> _planned = [];
    private ProfileNode? _plannedFor;

    private LiveTensor ChooseAmongAll(ProfileNode node, int argument, TensorValue wanted)
    {
        string name = node.Schema!.Arguments[argument].Name;
        bool isParameter = ParameterNames.Contains(name) && node.Pass is null;
        var module = isParameter && node.Module is { } instance ? (instance, node.Name, name) : default;
        if (module != default && _ofModules.TryGetValue(module, out var known) && LiveTensors.Fits(known, wanted))
            return known;
        if (_plannedFor == node && _planned.TryPeek(out var planned) && LiveTensors.Fits(planned, wanted, anyStrides: true))
            return _planned.Dequeue();
        bool isWritten = IsWritten(node, argument);
        bool isOutside = OutsideNames.Contains(name) && node.Pass is null;
        var ranked = Rank(node, wanted, isParameter, isWritten);
        if (isOutside)
            ranked = [.. ranked.Select(r => (r.Tensor, Score: r.Score + (r.Tensor.Maker is null ? UsedScore : 0)))
                .OrderByDescending(r => r.Score)];
        Counts.Ambiguous += ranked.Count > 1 ? 1 : 0;
        double outside = isParameter ? ParameterScore : isOutside ? OutsideScore + UsedScore
            : wanted.Type == ScalarType.Undefined ? ListedOutsideScore : OutsideScore;
        ranked.RemoveAll(r => r.Score <= outside);
        var best = ranked.Count > 0 ? ranked[0].Tensor : null;
        int alike = isParameter || isWritten ? 1 : Alike(node, wanted);
        if (alike > 1 && ranked.Count > 1)
        {
            // What was made first is taken first: a + b, cat([a, b]).
            _plannedFor = node;
            _planned.Clear();
            foreach (var (tensor, _) in ranked.Take(alike).OrderBy(r => r.Tensor.Maker is null).ThenBy(r => r.Tensor.Id))
                _planned.Enqueue(tensor);
            best = _planned.Dequeue();
        }
        else if (ranked.Count > 1 && IsFresh(ranked[0].Tensor) && KeptForNext(node, wanted) is > 0 and var kept)
        {
            best = ranked.Where(r => IsFresh(r.Tensor) && r.Tensor.Storage == best!.Storage).ElementAtOrDefault(kept).Tensor ?? best;
        }
        best ??= _live.Add(wanted.Type == ScalarType.Undefined
            ? wanted with { Type = ScalarType.Float, ItemSizeBytes = sizeof(float) } : wanted, null);
        if (module != default)
            _ofModules[module] = best;
        return best;
    }

    /// <summary>The tensors that can be meant, the likeliest first.</summary>
    private List<(LiveTensor Tensor, double Score)> Rank(ProfileNode node, TensorValue wanted, bool isParameter, bool isWritten)
    {
        long next = _next.GetValueOrDefault(node)?.StartNs ?? node.EndNs;
        var ranked = new List<(LiveTensor Tensor, double Score)>();
        foreach (var candidate in _live.Like(wanted, node.StartNs, anyStrides: true))
        {
            if (candidate.IsInternal || candidate is { IsUsedUp: true, Maker: null } && IsDifferentiated(node, wanted))
                continue;
            bool isFresh = IsFresh(candidate);
            bool fits = LiveTensors.Fits(candidate, wanted);
            if (!fits && (isParameter || !isFresh || node.Taken.Contains(candidate)))
                continue; // What the engine says of strides need not be so.
            double score = ScoreOf(node, candidate, isParameter, isWritten, next) - 1e-4 * ranked.Count + (fits ? 0 : OtherStridesScore);
            if (isWritten && candidate is { Pending: > 0, LastUser: not null, Maker: not null })
                score -= 0.02; // x += y changes what nobody else has.
            // Of what one operator gave back, and of views of one tensor, the first comes first: q, k, v = qkv.split(…).
            if (isFresh && ranked.FindIndex(r => IsFresh(r.Tensor) && (r.Tensor.Storage == candidate.Storage
                || r.Tensor.Maker!.Outermost == candidate.Maker!.Outermost)) is >= 0 and var newer)
                score = Math.Max(score, ranked[newer].Score + 1e-5 * ranked.Count);
            ranked.Add((candidate, score));
        }
        if (isWritten && ranked.Count(r => IsFresh(r.Tensor) && r.Score > MadeScore - 1) > 1 && Alike(node, wanted) > 1)
        {
            // Of a += b, a was made first.
            var first = ranked.Where(r => IsFresh(r.Tensor) && r.Score > MadeScore - 1).MinBy(r => r.Tensor.Id);
            ranked.Remove(first);
            ranked.Add((first.Tensor, MadeScore + FreedScore));
        }
        ranked.Sort((a, b) => b.Score.CompareTo(a.Score));
        return ranked;
    }

    /// <summary>
    /// How many tensors that look as wanted the next operator takes before the result of this one: of q @ k.transpose(-2, -1), q.
    /// </summary>
    private int KeptForNext(ProfileNode node, TensorValue wanted)
    {
        if (!IsView(node.Name) || _next.GetValueOrDefault(node) is not { Schema: not null } next
            || node.Results is not null || _knowledge.ResultOf(node) is not { } result)
            return 0;
        var taken = next.Arguments.SelectMany(a => a.Tensors).ToArray();
        int place = Array.FindIndex(taken, t => TensorLayout.IsSameShape(t, result));
        return place <= 0 ? 0 : taken.Take(place).Count(t => t.Type == wanted.Type && TensorLayout.IsSameShape(t, wanted));
    }

    /// <summary>Whether it was made, and nothing has used it.</summary>
    private static bool IsFresh(LiveTensor tensor) => tensor is { Pending: > 0, LastUser: null, Maker: not null };

    private static bool IsWritten(ProfileNode node, int argument) => node.Schema!.Arguments[argument].Type.Alias is { IsWrite: true };

    /// <summary>How many tensors look as one that is being chosen, it and those after it.</summary>
    private static int Alike(ProfileNode node, TensorValue wanted) => node.Arguments.SelectMany(a => a.Tensors).Skip(node.Taken.Count)
        .Count(t => t.Type == wanted.Type && TensorLayout.IsSameShape(t, wanted));

    private static double ScoreOf(ProfileNode node, LiveTensor candidate, bool isParameter, bool isWritten, long nextNs)
    {
        bool isTaken = node.Taken.Contains(candidate);
        if (candidate.Maker is null)
            return isParameter ? -1 : isTaken ? TakenScore : KnownOutsideScore;
        double score = isTaken ? TakenScore : candidate.Pending > 0 ? MadeScore : UsedScore;
        if (isParameter)
            score -= MadeScore;
        if (candidate.Storage.FreedNs is not { } freed)
            return score;
        if (freed <= nextNs)
            score += isWritten ? -FreedScore : FreedScore; // A variable is set anew when its old value was used last.
        if (node.Backward is { Parent: { } pass } && freed > pass.StartNs && freed <= pass.EndNs + 1)
            score += FreedScore; // Autograd lets go what it kept for an operator when it has run its node.
        return score;
    }
}
