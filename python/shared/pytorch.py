# PyTorch: what is asked of every version in the same way.
