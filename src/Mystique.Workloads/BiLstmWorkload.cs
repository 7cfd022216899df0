using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Mystique.Workloads;

/// <summary>A tagger: embedding, two bidirectional LSTM layers, a classifier for each step; Adam.</summary>
internal sealed class BiLstmWorkload(BiLstmWorkload.Tagger model, Tensor tokens, Tensor tags)
    : TrainingWorkload(model, p => new AdamW(p, 1e-3, weightDecay: 0), tokens, tags)
{
    private const int Vocabulary = 5000;
    private const int Width = 128;
    private const int Tags = 32;
    private const int Length = 64;
    private const int Batch = 16;

    public BiLstmWorkload() : this(new Tagger(), randint(Vocabulary, [Batch, Length], int64), randint(Tags, [Batch * Length], int64))
    {
    }

    protected override Tensor ComputeLoss()
    {
        using var logits = model.call(tokens);
        using var flat = logits.reshape(-1, Tags);
        return functional.cross_entropy(flat, tags);
    }

    internal sealed class Tagger : Module<Tensor, Tensor>
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
