using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Mystique.Workloads;

/// <summary>A small GPT (Radford et al., 2019) that learns the next token of random text, with AdamW.</summary>
internal sealed class GptWorkload(GptWorkload.Gpt model, Tensor tokens, Tensor targets)
    : TrainingWorkload(model, p => new AdamW(p, 1e-3), tokens, targets)
{
    private const int Vocabulary = 2048;
    private const int Width = 256;
    private const int Heads = 4;
    private const int Layers = 4;
    private const int Length = 128;
    private const int Batch = 4;

    public GptWorkload() : this(new Gpt(), randint(Vocabulary, [Batch, Length], int64), randint(Vocabulary, [Batch * Length], int64))
    {
    }

    protected override Tensor ComputeLoss()
    {
        using var logits = model.call(tokens);
        using var flat = logits.view(-1, Vocabulary);
        return functional.cross_entropy(flat, targets);
    }

    internal sealed class Gpt : Module<Tensor, Tensor>
    {
        private readonly Embedding _tokens = Embedding(Vocabulary, Width);
        private readonly Embedding _positions = Embedding(Length, Width);
        private readonly ModuleList<Block> _blocks;
        private readonly LayerNorm _norm = LayerNorm(Width);
        private readonly Linear _head = Linear(Width, Vocabulary, hasBias: false);

        public Gpt() : base(nameof(Gpt))
        {
            _blocks = new ModuleList<Block>([.. Enumerable.Range(0, Layers).Select(_ => new Block())]);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            Tensor x;
            using (var index = arange(input.shape[1], int64))
            using (var position = _positions.call(index))
            using (var token = _tokens.call(input))
                x = token.add(position);
            foreach (var block in _blocks)
            {
                var next = block.call(x);
                x.Dispose();
                x = next;
            }
            using var normed = _norm.call(x);
            x.Dispose();
            return _head.call(normed);
        }
    }

    private sealed class Block : Module<Tensor, Tensor>
    {
        private readonly LayerNorm _norm1 = LayerNorm(Width);
        private readonly Linear _attention = Linear(Width, 3 * Width);
        private readonly Linear _projection = Linear(Width, Width);
        private readonly LayerNorm _norm2 = LayerNorm(Width);
        private readonly Linear _up = Linear(Width, 4 * Width);
        private readonly Linear _down = Linear(4 * Width, Width);

        public Block() : base(nameof(Block)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var normed = _norm1.call(input);
            using var attended = Attend(normed);
            using var x = input.add(attended);
            using var normedAgain = _norm2.call(x);
            using var up = _up.call(normedAgain);
            using var activated = functional.gelu(up);
            using var down = _down.call(activated);
            return x.add(down);
        }

        private Tensor Attend(Tensor x)
        {
            long batch = x.shape[0];
            long length = x.shape[1];
            using var all = _attention.call(x);
            var parts = all.chunk(3, dim: 2);
            var heads = parts.Select(p => p.view(batch, length, Heads, Width / Heads).transpose(1, 2)).ToArray();
            using var attended = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_casual: true);
            using var swapped = attended.transpose(1, 2);
            using var joined = swapped.reshape(batch, length, Width);
            foreach (var tensor in parts.Concat(heads))
                tensor.Dispose();
            return _projection.call(joined);
        }
    }
}
