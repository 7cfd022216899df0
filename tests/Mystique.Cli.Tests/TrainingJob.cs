namespace Mystique.Cli.Tests;

/// <summary>A small transformer, as somebody would train it.</summary>
internal static class TrainingJob
{
    /// <summary>Its script; <c>--batch</c> sets the batch.</summary>
    public const string Text = """
        import argparse
        import torch
        from torch import nn

        parser = argparse.ArgumentParser()
        parser.add_argument("--batch", type=int, default=8)
        options = parser.parse_args()
        torch.manual_seed(0)
        torch.set_num_threads(1)


        class Attention(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

            def forward(self, x):
                q, k, v = self.qkv(x).chunk(3, -1)
                return self.out((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v)


        class Layer(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.norm, self.attention = nn.LayerNorm(width), Attention(width)
                self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

            def forward(self, x):
                x = x + self.attention(self.norm(x))
                return x + self.mlp(x)


        class Model(nn.Module):
            def __init__(self, words, width):
                super().__init__()
                self.embedding, self.head = nn.Embedding(words, width), nn.Linear(width, words)
                self.layers = nn.ModuleList(Layer(width) for _ in range(4))

            def forward(self, x):
                x = self.embedding(x)
                for layer in self.layers:
                    x = layer(x)
                return self.head(x)


        model = Model(500, 64)
        optimizer = torch.optim.AdamW(model.parameters())
        words = torch.randint(0, 500, (options.batch, 33))
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(words[:, :-1]).reshape(-1, 500), words[:, 1:].reshape(-1)).backward()
            optimizer.step()
        """;
}
