"""Trainings that are broken off in this process."""

SHORT = ("data.images_per_class=8", "batch_size=10", "save_every=2steps", "calibrate=false")


def states(run_dir):
    return sorted((run_dir / "state").glob("*.json"))


class Interrupted(Exception):  # noqa: N818
    pass


def stop_after(monkeypatch, saves):
    """Break a training in this process right after some saves, wherever they fall."""
    from tlcli.training import trainer

    done = {"count": 0}
    save = trainer.Trainer.save

    def broken(self):
        save(self)
        done["count"] += 1
        if done["count"] == saves:
            raise Interrupted

    monkeypatch.setattr(trainer.Trainer, "save", broken)
