"""What a model costs: weights and operations."""

import math
import re

import keras

from tlcli.models.graph.trace import Call, Layer, Model, Tensor, Value, sized


def parameters(model: Model) -> int:
    """Number of weights, each shared one once."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def flops(model: Model, image_size: int = 224) -> int:
    """Floating-point operations of one image: twice the multiply-adds of its kernels.

    Convolutions, depthwise, separable and transposed ones, and dense layers are counted from
    shapes; normalisation, activations, pooling and attention scores are not.

    Args:
        model: A functional model.
        image_size: Height and width in pixels where the model leaves them open.
    """
    return 2 * sum(_multiply_adds(call) for call in sized(model, image_size).calls)


def _multiply_adds(call: Call) -> int:
    layer, kinds = call.layer, keras.layers
    if isinstance(layer, (kinds.Dense, kinds.EinsumDense)):
        made = math.prod(d or 1 for d in call.outputs[0].shape[1:])
        return made * _terms(layer)
    if isinstance(layer, (kinds.Conv1DTranspose, kinds.Conv2DTranspose, kinds.Conv3DTranspose)):
        return _positions(call.inputs[0], layer) * _count(layer.kernel)
    if isinstance(layer, (kinds.SeparableConv1D, kinds.SeparableConv2D)):
        kernels = _count(layer.depthwise_kernel) + _count(layer.pointwise_kernel)
        return _positions(call.outputs[0], layer) * kernels
    convolutions = (kinds.Conv1D, kinds.Conv2D, kinds.Conv3D,
                    kinds.DepthwiseConv1D, kinds.DepthwiseConv2D)  # fmt: skip
    # A kernel of a grouped convolution is stored per group, so its size already tells the cost.
    if isinstance(layer, convolutions):
        return _positions(call.outputs[0], layer) * _count(layer.kernel)
    return 0


def _count(weight: Tensor) -> int:
    return math.prod(weight.shape)


def _terms(layer: Layer) -> int:
    """Products summed for one output of a dense layer."""
    if isinstance(layer, keras.layers.Dense):
        return int(layer.kernel.shape[0])
    _, kernel, outputs = re.split(",|->", layer.equation)
    sides = zip(kernel, layer.kernel.shape, strict=True)
    return math.prod(int(side) for label, side in sides if label not in outputs)


def _positions(value: Value, layer: Layer) -> int:
    """Pixels of a feature map."""
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    sides = value.shape[2:] if first else value.shape[1:-1]
    return math.prod(d or 1 for d in sides)
