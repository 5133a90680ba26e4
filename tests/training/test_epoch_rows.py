from tlcli.training.epoch_rows import table_of

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
