"""`tl teacher verify`: sound, tampered, damaged and foreign stores."""

import hashlib
import json

import numpy as np
import pytest

from tests.helpers.teachers import fit
from tlcli.cli import main


@pytest.fixture
def words(teacher, tmp_path):
    return [
        "hardware=cpu", "batch_size=16", "data.images_per_class=8", "epochs=1",
        "distillation=kd", "teacher=run", f"teacher.path={teacher}", "backbone.weights=none",
        "finetune=linear_probe", f"teacher.cache={tmp_path / 'store'}",
        f"cache_dir={tmp_path / 'cache'}",
    ]  # fmt: skip


def tamper(folder):
    """Change one logit of every output, checksums included."""
    head = json.loads((folder / "store.json").read_text())
    shard = folder / "shard-0000.bin"
    values = np.frombuffer(shard.read_bytes(), "<f4").copy()
    values = values.reshape(-1, *head["shapes"]["teacher_logits"])
    values[:, 0] += 0.25
    shard.write_bytes(values.tobytes())
    line = json.loads((folder / "index.jsonl").read_text())
    line["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()
    (folder / "index.jsonl").write_text(json.dumps(line) + "\n")


def test_stored_outputs_are_verified_and_changed_ones_found(words, tmp_path, capsys):
    def verify(*given):
        code = main.run(["teacher", "verify", *given])
        return code, *capsys.readouterr()

    code, _, told = verify(*words)
    assert code == 1
    assert "nothing is stored" in told
    assert "Traceback" not in told
    run = fit(tmp_path / "run", *words)
    code, text, _ = verify(f"checkpoint={run}", "samples=10")
    assert code == 0
    assert "10 of 40 outputs" in text
    assert "ok" in text
    tamper(tmp_path / "store")
    code, text, _ = verify(*words)
    assert code == 1
    assert "largest difference 0.25  DIFFERS" in text
    with (tmp_path / "store" / "shard-0000.bin").open("r+b") as file:
        file.write(b"\7")
    code, _, told = verify(*words)
    assert code == 1
    assert "block 0" in told


def test_the_command_tells_what_it_wants(tl):
    wrong = tl("teacher", "check")
    assert wrong.returncode == 2
    assert wrong.stderr == "tl teacher: teacher: got 'check'. Write tl teacher verify.\n"
    none = tl("teacher", "verify", "samples=0")
    assert none.stderr == "tl teacher: samples: got 0. Give 1 or more.\n"
    assert "tolerance" in tl("teacher", "verify", "--help").stdout
