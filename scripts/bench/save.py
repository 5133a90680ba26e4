"""What saving the state costs while MobileNet 0.25 is fine-tuned, as a share of step time.

    python scripts/bench/save.py --rounds 5

Steps in blocks of --every, each followed by a save or by nothing in turn, so that a machine that
slows down slows both alike. Prints milliseconds a step and a save, the median ratio, and the size.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from tlcli.config import compose
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of
from tlcli.training.kept import values_of
from tlcli.training.phase import PhaseTraining
from tlcli.training.trainer import Trainer

WORDS = (
    "backbone=mobilenet", "backbone.alpha=0.25", "image_size=128", "finetune=full",
    "data.images_per_class=100", "optimizer=adamw", "calibrate=false", "epochs=1000",
)  # fmt: skip


def prepared(folder: Path, words: list[str]) -> Trainer:
    """A trainer of the first phase, ready to step."""
    given = compose.read("train", [*WORDS, f"run_dir={folder}", *words])
    pieces = pieces_of(train_job(compose.plain(given)))
    plan = plans.made(pieces, attach(pieces))
    folder.mkdir()
    made = Trainer(plan, folder)
    made.phase = PhaseTraining(pieces, plan.lesson, plan.phases[0])
    made.kept.best = values_of(plan.lesson.student.model.variables)
    made.kept.start = values_of(plan.lesson.student.model.variables)
    return made


def seconds(action: object) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("words", nargs="*", help="further keys of tl train")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_save_") as name:
        made = prepared(Path(name) / "run", given.words)
        step = 0

        def block(count: int) -> None:
            nonlocal step
            for _ in range(count // 10):
                made.phase.feed(step, step + 10)
                step += 10
                made.progress.step = step

        block(20)
        made.save()
        steps, saves, ratios = [], [], []
        for _ in range(given.rounds):
            with_save = seconds(lambda: block(given.every))
            save = seconds(made.save)
            without = seconds(lambda: block(given.every))
            steps += [with_save / given.every, without / given.every]
            saves.append(save)
            ratios.append(save / statistics.mean([with_save, without]))
        print(f"step {1e3 * statistics.median(steps):.1f} ms, "
              f"save {1e3 * statistics.median(saves):.1f} ms, "
              f"state {made.saver.bytes / 1e6:.2f} MB")  # fmt: skip
        print(f"saving every {given.every} steps: {100 * statistics.median(ratios):.2f} % of step "
              f"time (range {100 * min(ratios):.2f} to {100 * max(ratios):.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
