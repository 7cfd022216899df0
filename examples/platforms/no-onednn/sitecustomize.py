"""Every Python that has this folder on PYTHONPATH runs PyTorch without oneDNN: no variable of the environment does that."""
import torch

torch.backends.mkldnn.set_flags(False)
