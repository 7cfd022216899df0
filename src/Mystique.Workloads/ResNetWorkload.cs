using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Mystique.Workloads;

/// <summary>ResNet-18 (He et al., 2015) trained with SGD and momentum on random images.</summary>
internal sealed class ResNetWorkload(ResNetWorkload.ResNet18 model, Tensor images, Tensor labels)
    : TrainingWorkload(model, p => new Sgd(p, 0.01, momentum: 0.9, weightDecay: 1e-4), images, labels)
{
    private const int Batch = 4;
    private const int Classes = 1000;

    public ResNetWorkload() : this(new ResNet18(Classes), randn(Batch, 3, 224, 224), randint(Classes, Batch, int64))
    {
    }

    protected override Tensor ComputeLoss()
    {
        using var logits = model.call(images);
        return functional.cross_entropy(logits, labels);
    }

    internal sealed class ResNet18 : Module<Tensor, Tensor>
    {
        private readonly Conv2d _conv;
        private readonly BatchNorm2d _norm;
        private readonly ModuleList<Block> _blocks;
        private readonly Linear _head;

        public ResNet18(int classes) : base(nameof(ResNet18))
        {
            _conv = Conv2d(3, 64, 7, stride: 2, padding: 3, bias: false);
            _norm = BatchNorm2d(64);
            _blocks = new ModuleList<Block>(new(64, 64, 1), new(64, 64, 1), new(64, 128, 2), new(128, 128, 1),
                new(128, 256, 2), new(256, 256, 1), new(256, 512, 2), new(512, 512, 1));
            _head = Linear(512, classes);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            // What is not needed any more goes at once, as in Python: autograd keeps what the backward pass needs.
            Tensor x;
            using (var convolved = _conv.call(input))
            using (var activated = functional.relu(_norm.call(convolved), inplace: true))
                x = functional.max_pool2d(activated, 3, stride: 2, padding: 1);
            foreach (var block in _blocks)
            {
                var next = block.call(x);
                x.Dispose();
                x = next;
            }
            using var pooled = functional.adaptive_avg_pool2d(x, 1);
            x.Dispose();
            using var flat = pooled.flatten(1);
            return _head.call(flat);
        }
    }

    private sealed class Block : Module<Tensor, Tensor>
    {
        private readonly Conv2d _conv1;
        private readonly BatchNorm2d _norm1;
        private readonly Conv2d _conv2;
        private readonly BatchNorm2d _norm2;
        private readonly Sequential? _shortcut;

        public Block(int inputs, int outputs, int stride) : base(nameof(Block))
        {
            _conv1 = Conv2d(inputs, outputs, 3, stride: stride, padding: 1, bias: false);
            _norm1 = BatchNorm2d(outputs);
            _conv2 = Conv2d(outputs, outputs, 3, padding: 1, bias: false);
            _norm2 = BatchNorm2d(outputs);
            if (stride != 1)
                _shortcut = Sequential(Conv2d(inputs, outputs, 1, stride: stride, bias: false), BatchNorm2d(outputs));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            Tensor normed;
            using (var first = _conv1.call(input))
            using (var activated = functional.relu(_norm1.call(first), inplace: true))
            using (var second = _conv2.call(activated))
                normed = _norm2.call(second);
            if (_shortcut is null)
            {
                normed.add_(input);
            }
            else
            {
                using var shortcut = _shortcut.call(input);
                normed.add_(shortcut);
            }
            return functional.relu(normed, inplace: true);
        }
    }
}
