import pytest

from tlcli.errors import DataError
from tlcli.runs import logger_ids


def test_what_is_written_is_read_until_it_is_forgotten(tmp_path):
    assert logger_ids.read(tmp_path) == {}
    logger_ids.write(tmp_path, {"mlflow": {"run_id": "a"}})
    assert logger_ids.read(tmp_path) == {"mlflow": {"run_id": "a"}}
    logger_ids.forget(tmp_path)
    assert logger_ids.read(tmp_path) == {}


@pytest.mark.parametrize("text", ["[]", '{"mlflow": 5}', '{"mlflow": {"run_id": 5}}', "{"])
def test_a_damaged_file_is_told(tmp_path, text):
    (tmp_path / logger_ids.FILE).write_text(text)
    with pytest.raises(DataError, match=r"loggers\.json"):
        logger_ids.read(tmp_path)
