"""The affine operations of convolutional networks as matrices that act on tensors flattened in C order.

Shapes are those of one tensor, channels first and without the batch: (channels, height, width). Each operator equals
PyTorch's own; PyTorch is not needed.

Examples
--------
A residual block x -> conv(x) + x, as one matrix:

>>> import numpy as np
>>> shape = (1, 3, 3)
>>> block = convolution(shape, np.ones((1, 1, 3, 3)), padding="same") + identity(shape)
>>> block(np.ones(shape))
array([[[ 5.,  7.,  5.], [ 7., 10.,  7.], [ 5.,  7.,  5.]]])
>>> block.affine.weight.shape, block.affine.is_sparse
((9, 9), True)
"""

from tropnet.operators.convolution import convolution, transposed_convolution
from tropnet.operators.dense import batch_norm, linear
from tropnet.operators.operator import (
    Operator,
    concatenation,
    identity,
    reshaping,
    selection,
    transposition,
    weighted_sum,
)
from tropnet.operators.padding import padding
from tropnet.operators.pooling import adaptive_average_pooling, average_pooling
from tropnet.operators.resampling import RESAMPLING_MODES, resampling

__all__ = [
    "RESAMPLING_MODES",
    "Operator",
    "adaptive_average_pooling",
    "average_pooling",
    "batch_norm",
    "concatenation",
    "convolution",
    "identity",
    "linear",
    "padding",
    "resampling",
    "reshaping",
    "selection",
    "transposed_convolution",
    "transposition",
    "weighted_sum",
]
