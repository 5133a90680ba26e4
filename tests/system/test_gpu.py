"""Why no GPU is used, for every way that one can be missing."""

from dataclasses import replace

import pytest

from tlcli.system.gpu import Machine, cards, machine, why_none

WHOLE = Machine(1, True, None, True, (), ("Cannot dlopen some GPU libraries",))


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"visible": "-1"}, "CUDA_VISIBLE_DEVICES='-1' hides them", "Leave out"),
        ({"visible": ""}, "CUDA_VISIBLE_DEVICES='' hides them", "Leave out"),
        ({"cards": 0, "driver": False}, "no NVIDIA card that can be seen", ""),
        ({"cards": 0, "driver": False, "visible": "-1"}, "no NVIDIA card", ""),
        ({"driver": False}, "1 NVIDIA card, but no driver", "Install NVIDIA's driver"),
        ({"driver": False, "cards": 2}, "2 NVIDIA cards, but no driver", "--gpus all"),
        ({"cuda_build": False}, "a build for CPUs alone", "tlcli[gpu]"),
        ({"lacking": list("abcd")}, "missing: a, b, c, …", "tlcli[gpu]"),
        ({}, "refuses: Cannot dlopen some GPU libraries", "nvidia-smi"),
        ({"chatter": ()}, "does not say why", "nvidia-smi"),
    ],
)
def test_the_reason_and_what_to_do(changes, reason, remedy):
    told, advice = why_none(replace(WHOLE, **changes))
    assert reason in told
    assert remedy in advice
    assert bool(advice) == bool(remedy)


def test_cards_are_counted_on_the_bus(tmp_path):
    devices = tmp_path / "sys/bus/pci/devices"
    for name, vendor, kind in (
        ("0", "0x10de", "0x030000"), ("1", "0x10de", "0x040300"), ("2", "0x8086", "0x030000"),
    ):  # fmt: skip
        (devices / name).mkdir(parents=True)
        (devices / name / "vendor").write_text(f"{vendor}\n")
        (devices / name / "class").write_text(f"{kind}\n")
    (devices / "3").mkdir()
    assert cards(tmp_path) == 1
    assert cards(tmp_path / "elsewhere") == 0


def test_this_machine_is_looked_at(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    found = machine(True, ["x"], [])
    assert (found.visible, found.cuda_build, found.lacking) == ("3", True, ("x",))
