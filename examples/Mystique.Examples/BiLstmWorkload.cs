using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Mystique.Examples;

/// <summary>A tagger: embedding, two bidirectional LSTM layers, a classifier for each step; Adam.</summary>
internal sealed class BiLstmWorkload : IWorkload
{
    private const int Vocabulary = 5000;
    private const int Width = 128;
    private const int Tags = 32;
    private const int Length = 64;
    private const int Batch = 16;

    private readonly Tagger _model = new();
    private readonly Tensor _tokens = randint(Vocabulary, [Batch, Length], int64);
    private readonly Tensor _tags = randint(Tags, [Batch * Length], int64);
    private readonly Optimizer _optimizer;

    public BiLstmWorkload() => _optimizer = new AdamW(_model.parameters(), 1e-3, weightDecay: 0);

    public void Step()
    {
        using var scope = NewDisposeScope();
        _optimizer.ZeroGradients();
        using (var logits = _model.call(_tokens))
        using (var flat = logits.reshape(-1, Tags))
        using (var loss = functional.cross_entropy(flat, _tags))
            loss.backward();
        _optimizer.Step();
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _model.Dispose();
        _tokens.Dispose();
        _tags.Dispose();
    }

    private sealed class Tagger : Module<Tensor, Tensor>
    {
        private readonly Embedding _embedding = Embedding(Vocabulary, Width);
        private readonly LSTM _lstm = LSTM(Width, Width, numLayers: 2, batchFirst: true, bidirectional: true);
        private readonly Linear _head = Linear(2 * Width, Tags);

        public Tagger() : base(nameof(Tagger)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var embedded = _embedding.call(input);
            var (output, hidden, cell) = _lstm.call(embedded);
            hidden.Dispose();
            cell.Dispose();
            using (output)
                return _head.call(output);
        }
    }
}
