"""MobileNet and ResNet50 in PyTorch: the other side of `pytorch.py`, in its own process.

    python scripts/bench/pytorch_networks.py mobilenet 0.25 224 16 2

reads `forward N` and `step N` from standard input and answers each with a line of JSON: seconds of
CPU (all threads) and of wall time of N batches. Tensors are channels-last, execution is eager, the
way PyTorch's own guide for CPUs advises. Layers, paddings and strides are those of
keras.applications, so that both sides compute the same.
"""

import json
import sys
import time

import torch
from torch import nn


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Convolution and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def mobilenet(alpha: float) -> tuple[nn.Module, int]:
    """MobileNet (Howard et al. 2017) without its head, and its features."""
    width = int(32 * alpha)
    layers = [*convolution(3, width, 3, 2), nn.ReLU6(inplace=True)]
    plan = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    for filters, stride in plan:
        wanted = int(filters * alpha)
        layers += [*convolution(width, width, 3, stride, groups=width), nn.ReLU6(inplace=True)]
        layers += [*convolution(width, wanted, 1), nn.ReLU6(inplace=True)]
        width = wanted
    return nn.Sequential(*layers), width


class Bottleneck(nn.Module):
    """A residual block of ResNet50 (He et al. 2015), with its stride in the first 1x1."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential(
            *convolution(inputs, width, 1, stride), relu, *convolution(width, width, 3), relu,
            *convolution(width, 4 * width, 1),
        )  # fmt: skip
        same = stride == 1 and inputs == 4 * width
        self.short = (
            nn.Identity() if same else nn.Sequential(*convolution(inputs, 4 * width, 1, stride))
        )
        self.relu = relu

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Maps (batch, inputs, height, width) to (batch, 4 * width, height, width)."""
        return self.relu(self.body(inputs) + self.short(inputs))


def resnet50() -> tuple[nn.Module, int]:
    """ResNet50 without its head, and its features."""
    layers = [*convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(depth):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers), inputs


def main() -> None:
    """Serve one network."""
    name, alpha, side, batch, classes = sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:6])
    torch.manual_seed(0)
    body, width = mobilenet(alpha) if name == "mobilenet" else resnet50()
    pool = nn.AdaptiveAvgPool2d(1)
    model = nn.Sequential(body, pool, nn.Flatten(), nn.Linear(width, classes))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    loss = nn.CrossEntropyLoss()
    pictures = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)
    labels = torch.randint(0, classes, (batch,))

    def scaled() -> torch.Tensor:
        # The permuted view of NHWC memory is channels-last already.
        return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def forward() -> None:
        model.eval()
        with torch.inference_mode():
            model(scaled()).numpy()

    def step() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(scaled()), labels)
        value.backward()
        optimizer.step()
        value.item()

    work = {"forward": forward, "step": step}
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        part, count = line.split()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(int(count)):
            work[part]()
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
