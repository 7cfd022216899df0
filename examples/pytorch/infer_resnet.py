"""Classifies made-up images with torchvision's ResNet-18, one after the other."""
import sys

import torch
import torchvision

torch.manual_seed(1)
normalize = torchvision.transforms.Normalize([0.5] * 3, [0.5] * 3)
model = torchvision.models.resnet18().eval()
with torch.inference_mode():
    for _ in range(int(sys.argv[1])):
        print(model(normalize(torch.rand(1, 3, 64, 64))).argmax().item())
