from tlcli.training.progress import Progress


def test_a_phase_ends_with_what_counts_within_it():
    progress = Progress(
        phase=1, step=5, epoch=2, sums=[1.0] * 5, best=0.9, best_epoch=[1, 2], waited=3,
        plateau={"factor": 0.5}, rows=[{}], averaged=2, halvings=1, peers=[0.5],
    )  # fmt: skip
    progress.end_phase()
    assert progress == Progress(phase=1, best=0.9, best_epoch=[1, 2], rows=[{}], peers=[0.5])
