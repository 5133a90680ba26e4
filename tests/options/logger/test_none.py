from tests.helpers.loggers import begun, figures, logger


def test_none_stands_for_no_logger_and_writes_nothing(tmp_path):
    none = logger("none")
    assert none.parts == ()
    none.open(begun(tmp_path)).figures([figures(1, loss=1.0)])
    assert list(tmp_path.iterdir()) == []
