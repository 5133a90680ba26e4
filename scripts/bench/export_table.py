"""What exports of each kind of network keep of their run, their size, and how soon they answer.

    python scripts/bench/export_table.py WORK --photos FOLDER --weights partial_mobilenet.h5

Trains the runs, exports each in every format, and writes docs/export-measured.md. What WORK holds
is not made again, so that a stopped table goes on; --minutes ends it early, --only does some runs.
FOLDER has train/ and test/ with a folder a class; the file has MobileNet 1.0 up to conv_pw_12_relu.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tlcli.export.contract import NAMES, format_of  # noqa: E402

PAGE = ROOT / "docs" / "export-measured.md"
PHOTOS = "data=folder data.path={photos} backbone=mobilenet image_size=128 finetune=lp_ft"
RANDOM = "data=digits finetune=full image_size=32 backbone.weights=none backbone.batch_norm=train"
# Words of each run, by name, and what it is in words.
RUNS = {
    "digits": ("data=digits backbone=tiny finetune=full epochs=20", "tiny, digits, 32 px"),
    "mobilenet_025": (f"{PHOTOS} backbone.alpha=0.25 epochs=12",
                      "MobileNet 0.25 of ImageNet, photos, 128 px"),
    "mobilenet_100": (f"{PHOTOS} backbone.weights={{weights}} epochs=5 "
                      "backbone.output_layer=conv_pw_12_relu",
                      "MobileNet 1.0 of ImageNet to conv_pw_12_relu, photos, 128 px"),
    "resnet": (f"{RANDOM} backbone=resnet50 backbone.output_layer=conv2_block3_out epochs=6",
               "ResNet-50 to conv2_block3_out from random weights, digits, 32 px"),
    "convnext": (f"{RANDOM} backbone=convnext_tiny epochs=6 "
                 "backbone.output_layer=convnext_tiny_stage_1_block_2_identity",
                 "ConvNeXt-Tiny to stage 1 from random weights, digits, 32 px"),
    "multi_label": ("data=npy data.path={work}/pairs.npz backbone=tiny finetune=full epochs=15 "
                    "image_size=32 loss=bce", "tiny, four digits a picture, several labels"),
    "simkd": ("data=digits backbone=tiny distillation=simkd teacher=run "
              "teacher.path={work}/runs/digits finetune=full epochs=15",
              "tiny with projector and teacher's head (simkd), digits"),
}  # fmt: skip
KINDS = [(name, kind) for name in NAMES for kind in format_of(name).quantize]
TOP = """# Exports, measured

Each run exported in each format and run by its own runtime beside its run, on its test images
(`photos` are ten classes, 170 training images each). Size is that of the model; latency what the
fastest tenth of calls with one picture took at most, all formats in turn in one process, on two
cores that others used too, beside `predict` of Keras. Lost is in points of accuracy, or of mean
average precision, with its paired interval of 95 %; nothing was refused (`tolerance=1`). Made by
`scripts/bench/export_table.py`, which goes on where it was stopped: what is not in the table was
not measured.
"""
CALLS = 60  # of each engine, one after the other in turn
LIMIT = 900  # seconds of a training


def main() -> None:
    """Do what is left, then write the page of what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS))
    parser.add_argument("--minutes", type=float, default=120)
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    places = {"photos": given.photos, "weights": given.weights, "work": given.work}
    for name in given.only:
        if time.monotonic() < end and trained(given.work, name, places):
            for kind in KINDS:
                if time.monotonic() < end:
                    exported(given.work, name, *kind)
            timed(given.work, name)
    PAGE.write_text(page(given.work), encoding="utf-8")
    print(f"{PAGE}: written")


def trained(work: Path, name: str, places: Mapping[str, Path]) -> bool:
    """Train a run unless it is there; returns whether it is."""
    run = work / "runs" / name
    if not (run / "metrics.json").is_file():
        if name == "multi_label":
            pairs(work / "pairs.npz")
        words = RUNS[name][0].format(**places).split()
        train(f"run_dir={run}", "report=false", "save_every=off", *words)
    return (run / "metrics.json").is_file()


def pairs(path: Path) -> None:
    """Pictures of four digits each, and which digits are in them."""
    from tlcli.options.data.digits import FILE

    with np.load(FILE) as found:
        images, labels = (found[key] for key in ("images", "labels"))
    rng, made = np.random.default_rng(0), {}
    for split, count in (("train", 1500), ("test", 500)):
        rows = rng.integers(0, len(images), (count, 4))
        tiles = images[rows].reshape(count, 2, 2, 8, 8).transpose(0, 1, 3, 2, 4)
        whole = (tiles.reshape(count, 16, 16).astype(float) * 255 / images.max()).astype(np.uint8)
        made[f"{split}_data"] = np.repeat(whole[..., None], 3, -1)
        made[f"{split}_labels"] = np.eye(10, dtype=np.uint8)[labels[rows]].max(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **made)


def train(*words: str) -> None:
    """Run `tl train` in a process of its own; what it says is in the run's log."""
    code = [sys.executable, "-m", "tlcli.cli", "train", *words]
    print(" ".join(code[2:]), flush=True)
    subprocess.run(code, cwd=ROOT, capture_output=True, timeout=LIMIT, check=False)


def export(*words: str) -> str:
    """Run `tl export` here, for its import is most of its time; returns what it failed with."""
    from tlcli.cli.main import run

    print("export", " ".join(words), flush=True)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run(["export", *words])
    lines = said.getvalue().strip().splitlines()
    return "" if code == 0 else (lines[-1] if lines else f"exit {code}")


def exported(work: Path, name: str, form: str, quantize: str) -> None:
    """Export once, and keep what its manifest proves, or why there is none."""
    cell = work / "cells" / f"{name}-{form}-{quantize}.json"
    if cell.is_file():
        return
    folder = work / "exports" / f"{name}-{form}-{quantize}"
    shutil.rmtree(folder, ignore_errors=True)
    since = time.monotonic()
    # All is taken: the table tells what is lost.
    problem = export(f"checkpoint={work / 'runs' / name}", f"format={form}",
                 f"quantize={quantize}", f"output={folder}", "tolerance=1")  # fmt: skip
    found: dict[str, Any] = {"problem": problem, "seconds": time.monotonic() - since}
    if not problem:
        about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["export"]
        found |= {"proof": about["proof"], "size": size(folder / about["model"])}
    cell.parent.mkdir(parents=True, exist_ok=True)
    cell.write_text(json.dumps(found), encoding="utf-8")


def size(model: Path) -> int:
    """Bytes of the file, of the folder, or of the pair that OpenVINO has."""
    files = model.rglob("*") if model.is_dir() else model.parent.glob(f"{model.stem}.*")
    return sum(path.stat().st_size for path in files if path.is_file())


def timed(work: Path, name: str) -> None:
    """Milliseconds a picture at batch 1, of all exports and of Keras, called in turn."""
    place = work / "latency" / f"{name}.json"
    folders = {f"{f}-{q}": work / "exports" / f"{name}-{f}-{q}" for f, q in KINDS}
    folders = {k: p for k, p in folders.items() if (p / "manifest.json").is_file()}
    if place.is_file() and json.loads(place.read_text()).keys() >= folders.keys():
        return
    from tlcli.runs import checkpoint

    run = checkpoint.read_run(str(work / "runs" / name))
    side = run.resize.size
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    calls = {k: format_of(k.split("-")[0]).engine(p) for k, p in folders.items()}
    calls["predict"] = lambda given: run.model.predict(given, verbose=0)
    spent: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(CALLS):
        for key, call in calls.items():
            since = time.perf_counter()
            call(image)
            spent[key].append(time.perf_counter() - since)
    place.parent.mkdir(parents=True, exist_ok=True)
    found = {key: 1000 * float(np.percentile(row[5:], 10)) for key, row in spent.items()}
    place.write_text(json.dumps(found), encoding="utf-8")


def page(work: Path) -> str:
    """The table of what is there, in Markdown."""
    lines = [TOP]
    for name, (_, what) in RUNS.items():
        cells = {kind: work / "cells" / f"{name}-{kind[0]}-{kind[1]}.json" for kind in KINDS}
        cells = {k: json.loads(p.read_text()) for k, p in cells.items() if p.is_file()}
        if cells:
            lines += section(what, cells, work / "latency" / f"{name}.json")
    return "\n".join(lines).rstrip() + "\n"


def section(what: str, cells: Mapping[tuple[str, str], Any], latency: Path) -> list[str]:
    """The part of one run."""
    spent = json.loads(latency.read_text()) if latency.is_file() else {}
    proofs = [cell["proof"] for cell in cells.values() if not cell["problem"]]
    figure = proofs[0].get("figure", "agreement").replace("_", " ") if proofs else ""
    value = f"{proofs[0]['run']:.4f}" if proofs and "run" in proofs[0] else "unknown"
    keras = f"; Keras' predict takes {spent['predict']:.1f} ms" if "predict" in spent else ""
    lines = [f"## {what}", "", f"The run's {figure}: {value}{keras}.", "",
             "| format | quantize | agreement | largest Δp | lost, points | MB | ms |",
             "| --- | --- | ---: | ---: | --- | ---: | ---: |"]  # fmt: skip
    for (form, quantize), cell in cells.items():
        start = f"| {form} | {quantize} | "
        if cell["problem"]:
            lines.append(f"{start}{cell['problem'].replace('|', '/')} | | | | |")
            continue
        proof = cell["proof"]
        lost = 100 * (proof.get("run", 0) - proof.get("export", 0)) + 0.0
        ends = [-100 * proof[key] + 0.0 for key in ("high", "low")] if "low" in proof else None
        told = f"{lost:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")
        ms = spent.get(f"{form}-{quantize}")
        lines.append(
            f"{start}{proof['agreement']:.4f} | {proof['difference']:.2g} | {told} | "
            f"{cell['size'] / 1e6:.3f} | {'' if ms is None else f'{ms:.2f}'} |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    main()
