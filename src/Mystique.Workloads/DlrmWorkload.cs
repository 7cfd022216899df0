using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Mystique.Workloads;

/// <summary>A recommendation model (DLRM, Naumov et al., 2019): embedding bags, two MLPs, pairwise dot products; Adagrad.</summary>
internal sealed class DlrmWorkload(DlrmWorkload.Dlrm model, Tensor dense, Tensor[] indices, Tensor offsets, Tensor labels)
    : TrainingWorkload(model, p => new Adagrad(p, 0.01), [dense, offsets, labels, .. indices])
{
    private const int Tables = 8;
    private const int Rows = 20_000;
    private const int Width = 32;
    private const int Batch = 256;
    private const int PerBag = 10;
    private const int DenseFeatures = 13;

    public DlrmWorkload() : this(new Dlrm(), rand(Batch, DenseFeatures),
        [.. Enumerable.Range(0, Tables).Select(_ => randint(Rows, [Batch * PerBag], int64))],
        arange(0, Batch * PerBag, PerBag, int64), randint(2, [Batch, 1], float32))
    {
    }

    protected override Tensor ComputeLoss()
    {
        using var logits = model.Predict(dense, indices, offsets);
        return functional.binary_cross_entropy_with_logits(logits, labels);
    }

    internal sealed class Dlrm : Module
    {
        private readonly ModuleList<EmbeddingBag> _bags;
        private readonly Sequential _bottom = Sequential(Linear(DenseFeatures, 128), ReLU(), Linear(128, Width), ReLU());
        private readonly Sequential _top = Sequential(Linear(Width + (Tables + 1) * Tables / 2, 128), ReLU(), Linear(128, 64), ReLU(),
            Linear(64, 1));
        private readonly Tensor _pairs = tril_indices(Tables + 1, Tables + 1, offset: -1);

        public Dlrm() : base(nameof(Dlrm))
        {
            _bags = new ModuleList<EmbeddingBag>([.. Enumerable.Range(0, Tables)
                .Select(_ => EmbeddingBag(Rows, Width, mode: global::TorchSharp.EmbeddingBagMode.Sum))]);
            register_buffer("pairs", _pairs);
            RegisterComponents();
        }

        public Tensor Predict(Tensor dense, Tensor[] indices, Tensor offsets)
        {
            using var bottom = _bottom.call(dense);
            var features = _bags.Select((bag, i) => bag.call(indices[i], offsets, null)).Prepend(bottom).ToArray();
            using var stacked = stack(features, dim: 1);
            using var transposed = stacked.transpose(1, 2);
            using var products = stacked.bmm(transposed);
            using var pairs = products.index(TensorIndex.Ellipsis, TensorIndex.Tensor(_pairs[0]), TensorIndex.Tensor(_pairs[1]));
            using var joined = cat([bottom, pairs], 1);
            foreach (var feature in features.Skip(1))
                feature.Dispose();
            return _top.call(joined);
        }
    }
}
