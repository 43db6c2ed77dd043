"""PyTorch modules as plain ones, for all that read them."""
