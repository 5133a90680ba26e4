from tlcli.training.epoch_rows import SHOWN, curve, heading, shown, table_of

ROW = {"phase": 1, "epoch": 1, "step": 5, "loss": 0.5, "train_accuracy": None,
       "learning_rate": 0.1, "validation": {}, "best": True, "seconds": 3.0}  # fmt: skip


def test_a_column_for_each_figure_that_any_epoch_has():
    second = {**ROW, "epoch": 2, "validation": {"loss": 0.4, "accuracy": 0.9}, "best": False}
    assert table_of([ROW, second]).splitlines() == [
        "phase,epoch,step,loss,train_accuracy,learning_rate,validation_accuracy,validation_loss,"
        "best",
        "1,1,5,0.5,,0.1,,,1",
        "1,2,5,0.5,,0.1,0.9,0.4,0",
    ]
    assert table_of([]).count("\n") == 1


def test_an_epoch_stands_below_its_titles_and_the_best_stands_out():
    row = {**ROW, "images_per_second": 1234.4, "validation": {"loss": 0.25, "accuracy": 0.5}}
    (titles,), (cells,) = heading().lines(), shown(row, 75.0).lines()
    assert cells.split() == [
        "2", "1", "0.5000", "0.2500", "0.5000", "-", "0.1", "1234", "3s", "1m15", "*",
    ]  # fmt: skip
    assert [cells[: titles.index(t) + len(t)][-1] for t in ("loss", "img/s", "left")] == [*"045"]
    assert (shown(row, 0).kind, shown({**row, "best": False}, 0).kind) == ("best", "must")
    assert shown(row, 75.0).lines(40)[0].split() == ["1", "0.5000", "0.2500", "0.5000", "1m15", "*"]
    assert len(titles) <= sum(c.width + 1 for c in SHOWN) <= 80


def test_the_figure_that_chose_is_drawn_over_all_epochs():
    def row(epoch, value, best):
        figures = {} if value is None else {"accuracy": value}
        return {**ROW, "epoch": epoch, "validation": figures, "best": best}

    values = [(0.0, True), (1.0, True), (None, False), (float("nan"), False), (0.5, False)]
    (note,) = curve([row(i, *pair) for i, pair in enumerate(values, 1)], "accuracy")
    assert note.text == (
        "▁█▅ validation accuracy 0.0000 to 0.5000, best 1.0000 in epoch 2 of phase 2"
    )
    assert curve([row(1, 0.5, True)], "accuracy") == []
