"""A training that version 0.1.0 began goes on, to the weights that it would have had."""

import json

import pytest

from tests.helpers.runs import same_weights, train_digits
from tests.helpers.stopped import Interrupted, states, stop_after
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import TlError
from tlcli.runs import identity, state
from tlcli.runs.resume import FREE_KEYS

WORDS = (
    "data.images_per_class=8", "batch_size=10", "save_every=2steps", "calibrate=false",
    "finetune=full",
)  # fmt: skip


def as_0_1_0_left_it(run_dir, **optimizer):
    """Take from a run that was broken off what 0.1.0 did not write; its state knows that form."""
    path = run_dir / "config.json"
    config = json.loads(path.read_text())
    config.pop("extend")
    config["finetune"].pop("head_rate")
    for key in ("paper_weight", "share"):
        config["distillation"].pop(key)
    config["optimizer"] |= optimizer
    path.write_text(json.dumps(config))
    for described in states(run_dir):
        content = json.loads(described.read_text())
        facts = content["facts"]
        for key in ("seen", "content"):
            facts.pop(key, None)
        facts["config_hash"] = identity.config_hash(config, FREE_KEYS)
        described.write_text(
            json.dumps({"sha256": content["sha256"], "names": content["names"], "facts": facts})
        )


@pytest.fixture
def begun(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train_digits(tmp_path / "run", "finetune.head_rate=1.0", *WORDS)
    return tmp_path / "run"


def test_it_goes_on_to_the_weights_of_0_1_0(begun, tmp_path):
    as_0_1_0_left_it(begun)
    whole = train_digits(tmp_path / "whole", "finetune.head_rate=1.0", *WORDS)
    assert train.run(checked("train", f"resume={begun}")) == 0
    same_weights(whole, begun)
    assert json.loads((begun / "config.json").read_text())["finetune"]["head_rate"] == 1.0


def test_a_configuration_changed_since_is_refused(begun):
    as_0_1_0_left_it(begun)
    path = begun / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "sampler": "balanced"}))
    with pytest.raises(TlError, match="was changed since the state was saved"):
        train.run(checked("train", f"resume={begun}"))


def test_what_computes_otherwise_today_is_said(begun, capsys):
    as_0_1_0_left_it(begun, agc=0.01)
    with pytest.raises(TlError, match=r"since 0\.1\.0 optimizer\.agc leaves the head out"):
        train.run(checked("train", f"resume={begun}"))
    assert train.run(checked("train", f"resume={begun}", "strict_resume=false")) == 0
    assert "optimizer.agc leaves the head out" in capsys.readouterr().err


def test_words_of_today_differ_from_it(begun):
    as_0_1_0_left_it(begun)
    with pytest.raises(TlError, match=r"finetune\.head_rate was 1\.0 and is 3\.0"):
        train.run(checked("train", f"run_dir={begun}", "epochs=2", *WORDS))
    assert state.load(begun / "state").facts["step"] == 4
