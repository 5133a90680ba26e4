"""`tl preview`: a contact sheet of training images as the network will see them.

Each row is a training image: its validation view, then its views of the first epochs. Where images
are mixed, rows of the first mixed batches follow, with the share of each class. Everything comes
from the views and the order of images that training uses: pixels are those of that training.
"""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob
from tlcli.config.settings import Preview
from tlcli.contracts.data import TRAIN
from tlcli.data.labels import label_table
from tlcli.data.order import Order
from tlcli.data.views import Views, worker_count
from tlcli.runs import output
from tlcli.system import console
from tlcli.system.standing import addressed
from tlcli.training import auto, auto_backbone, batch_size
from tlcli.training.data import data_of, resize_of
from tlcli.training.order import order_of

SMALLEST_TILE = 96
CAPTION = 32
GAP = 4
FONT_SIZE = 11


@dataclass(frozen=True)
class Tile:
    """A picture of the sheet.

    Attributes:
        image: uint8 (side, side, 3).
        caption: One or two lines below it.
    """

    image: Any
    caption: str


def run(checked: Checked[Preview, TrainJob]) -> int:
    """Write the sheet and print its path; returns the exit code.

    Raises:
        ConfigError: Options that do not fit each other or the data.
        DataError: Data that cannot be read.
    """
    console.start_log(None)
    own = checked.settings
    path = output.place(own.output, own.overwrite)
    job = batch_size.resolved(auto_backbone.resolved(checked.job, checked.typed))
    if job.settings.auto:
        job = auto.resolved(job, checked.typed)
    picture = sheet(tiles(job, own))
    content = io.BytesIO()
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    picture.save(content, kind, **({} if kind == "PNG" else {"quality": 92}))
    output.write(path, content.getvalue())
    sys.stdout.write(f"{addressed(str(path))}\n")
    return 0


def tiles(job: TrainJob, own: Preview) -> list[list[Tile]]:
    """Rows of views of some images, then of mixed batches."""
    settings = job.settings
    manifest = data_of(job)
    resize, workers = resize_of(job), worker_count(settings.workers)
    train = Views(manifest, resize, job.augmentation, settings.seed, workers)
    plain = Views(manifest, resize, None, settings.seed, workers)
    found = view_rows(train, plain, own)
    if train.augmentation is not None and train.augmentation.mix is not None:
        order = order_of(settings, manifest, manifest.rows(TRAIN))
        found += mixed_rows(train, order, own)
    return found


def view_rows(train: Views, plain: Views, own: Preview) -> list[list[Tile]]:
    """A row an image: the validation view, then a view an epoch or all views there are."""
    manifest = train.manifest
    every = manifest.rows(TRAIN)
    rows = every[np.unique(np.linspace(0, len(every) - 1, own.images).astype(int))]
    limit = 1 if train.augmentation is None else train.augmentation.views
    count = own.views if limit is None else min(own.views, limit)
    word = "epoch" if limit is None else "view"
    numbers = np.tile(np.asarray(train.number(np.arange(count))), len(rows))
    shown = np.concatenate(list(train.batches(np.repeat(rows, count), numbers, 32)))
    whole = np.concatenate(list(plain.batches(rows, np.zeros(len(rows)), 32)))
    labels = label_table(manifest, rows)
    found = []
    for index in range(len(rows)):
        first = Tile(whole[index], caption(labels[index], manifest.class_names))
        views = shown[index * count : (index + 1) * count]
        found.append([first, *(Tile(v, f"{word} {n + 1}") for n, v in enumerate(views))])
    return found


def mixed_rows(train: Views, order: Order, own: Preview) -> list[list[Tile]]:
    """A row a step: the first images of the first mixed batches."""
    manifest = train.manifest
    rows = manifest.rows(TRAIN)
    stream = train.stream(rows, label_table(manifest, rows), order, range(own.images), range(1))
    found = []
    for batch in stream:
        images = np.rint(batch["images"][: own.views + 1]).astype(np.uint8)
        labels = np.asarray(batch["labels"])
        found.append([Tile(image, caption(label, manifest.class_names))
                      for image, label in zip(images, labels, strict=False)])  # fmt: skip
    return found


def caption(shares: Any, names: Sequence[str]) -> str:
    """Classes of an image by falling share, a line each; whole shares have no number.

    Args:
        shares: float (classes,).
        names: Of the classes.
    """
    some = [int(i) for i in np.argsort(-shares, kind="stable") if shares[i] >= 0.005]
    lines = [names[i] + ("" if shares[i] > 0.995 else f" ({shares[i]:.2f})") for i in some]
    return "\n".join(lines if len(lines) <= 2 else [lines[0], f"{lines[1]}, …"])


def scale_of(side: int) -> int:
    """How many pixels of the sheet a pixel of a view is wide: small views are magnified."""
    return max(1, -(-SMALLEST_TILE // side))


def place(row: int, column: int, side: int) -> tuple[int, int]:
    """Left and top pixel of a tile on the sheet.

    Args:
        row: Counted from 0.
        column: Counted from 0.
        side: Pixels of a view.
    """
    width = scale_of(side) * side + GAP
    return GAP + column * width, GAP + row * (width + CAPTION)


def sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """All tiles on white, in RGB."""
    side = len(rows[0][0].image)
    scale = scale_of(side)
    size = place(len(rows), max(map(len, rows)), side)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            left, top = place(number, column, side)
            magnified = tile.image.repeat(scale, axis=0).repeat(scale, axis=1)
            picture.paste(Image.fromarray(magnified), (left, top))
            text = "\n".join(fitted(t, font, scale * side) for t in tile.caption.split("\n"))
            draw.multiline_text((left, top + scale * side + 1), text, "black", font, spacing=1)
    return picture


def fitted(text: str, font: Any, width: int) -> str:
    """The text, cut off with … where it is wider than some pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
