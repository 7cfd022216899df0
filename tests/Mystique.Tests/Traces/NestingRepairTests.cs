using System.Collections.Immutable;
using CsCheck;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>Nodes that the observer put below others that had ended, because a process group's work ended on another thread.</summary>
public class NestingRepairTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Reduce = "c10d::allreduce_(Tensor[] tensors) -> Tensor[]";

    /// <summary>
    /// An observer with its stack, as PyTorch has it: whatever ends takes off what lies on top. Steps: 0 begins an operator, 1 ends one, 2
    /// makes a call whose work goes on, and 3 ends the oldest of such works.
    /// </summary>
    private sealed class Observer(bool writesAtEnd = false)
    {
        private readonly Stack<long> _stack = new([2]); // What the observer takes for running.
        private readonly Stack<long> _running = new([2]); // What is.
        private readonly Queue<long> _works = new();
        private readonly Dictionary<long, long> _starts = [];
        private readonly Dictionary<long, long> _ends = [];
        private readonly TraceText _text = TraceText.WithRoots();
        private readonly Dictionary<long, Action> _written = [];
        private long _next = 3, _now;

        public Dictionary<long, long> Parents { get; } = [];

        public void Step(int step)
        {
            _now += 10;
            if (step == 0 && _running.Count < 6)
                Begin((id, parent) => _text.Operator(id, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])], parent));
            else if (step == 1 && _running.Count > 1)
                End(_running.Peek());
            else if (step == 2)
            {
                Begin((id, parent) => _text.Operator(id, Reduce, [List(Tensor(10, 11, [4]))], [List(Tensor(10, 11, [4]))], parent));
                long call = _running.Peek();
                _now++;
                Begin((id, parent) => _text.Node(id, parent, "gloo:all_reduce", inputs: [Tensor(10, 11, [4])]));
                _works.Enqueue(_running.Pop());
                _now++;
                End(call);
            }
            else if (step == 3 && _works.TryDequeue(out long work))
                Finish(work);
        }

        public (ExecutionTrace Trace, LinkedProfile Profile) Finish()
        {
            while (_running.Count > 1)
                Step(1);
            while (_works.Count > 0)
                Step(3);
            var trace = _text.Read();
            OperatorTime Of(TraceNode node) => new(_starts[node.Id], _ends[node.Id] - _starts[node.Id], []);
            return (trace, ProfileOf.Times(trace.Nodes.Where(n => n.Schema is not null).ToImmutableDictionary(n => n.Id, Of), _now) with
            {
                Labels = trace.Nodes.Where(n => n.Name.StartsWith("gloo", StringComparison.Ordinal)).ToImmutableDictionary(n => n.Id, Of),
            });
        }

        private void Begin(Action<long, long> add)
        {
            long id = _next++, parent = _stack.Peek();
            Parents[id] = _running.Peek();
            _written[id] = () => add(id, parent);
            if (!writesAtEnd)
                _written[id]();
            _starts[id] = _now;
            _stack.Push(id);
            _running.Push(id);
        }

        private void End(long id)
        {
            Assert.Equal(id, _running.Pop());
            Finish(id);
        }

        private void Finish(long id)
        {
            _ends[id] = _now;
            if (_stack.Count > 1)
                _stack.Pop();
            if (writesAtEnd)
                _written[id]();
        }
    }

    /// <summary>Whatever ran, and whenever the works ended: with times, each node is below what called it.</summary>
    [Fact]
    public void Apply_WithTimes_FindsWhoCalledWhom() => Gen.Int[0, 3].Array[1, 40].Sample(steps =>
    {
        var observer = new Observer();
        Array.ForEach(steps, observer.Step);
        var (trace, profile) = observer.Finish();
        var repaired = NestingRepair.Apply(trace, profile);
        foreach (var node in repaired.Nodes.Where(n => n.Id > 2))
        {
            Assert.Equal(observer.Parents[node.Id], node.Parent!.Id);
            Assert.Contains(node, node.Parent.Children);
        }
        Assert.Equal(trace.Nodes.Select(n => n.Id), repaired.Nodes.Select(n => n.Id));
    }, iter: 2000);

    /// <summary>PyTorch writes a node when it ends: then the order of the file is enough.</summary>
    [Fact]
    public void Apply_FileInTheOrderOfEnds_FindsWhoCalledWhom() => Gen.Int[0, 3].Array[1, 40].Sample(steps =>
    {
        var observer = new Observer(writesAtEnd: true);
        Array.ForEach(steps, observer.Step);
        var (trace, _) = observer.Finish();
        var repaired = NestingRepair.Apply(trace, null);
        // A file in which no node comes before its parent tells nothing; then the trace alone is asked.
        if (trace.Nodes.Any(n => n.Id > 2 && n.Parent!.Id > 2 && n.FilePlace < n.Parent.FilePlace))
            Assert.All(repaired.Nodes.Where(n => n.Id > 2), n => Assert.Equal(observer.Parents[n.Id], n.Parent!.Id));
    }, iter: 2000);

    /// <summary>Without times: what comes behind the backend's label is not within the call.</summary>
    [Fact]
    public void Apply_WithoutTimes_PutsBehindACallWhatIsNotInIt()
    {
        var observer = new Observer();
        foreach (int step in (int[])[2, 0, 1, 0, 1, 3, 0, 1])
            observer.Step(step);
        var (trace, _) = observer.Finish();
        Assert.Equal(3, trace.Nodes.First(n => n.Id == 5).Parent!.Id); // As recorded: below the call that had ended.
        var repaired = NestingRepair.Apply(trace, null);
        Assert.All(repaired.Nodes.Where(n => n.Id >= 5), n => Assert.Equal(2, n.Parent!.Id));
        Assert.Contains("as far as the trace alone tells", repaired.Warnings.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public void Apply_TraceWithoutSuchWork_IsTheSame()
    {
        var trace = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]).Read();
        Assert.Same(trace, NestingRepair.Apply(trace, null));
    }
}
