"""Which precision a device gets, and what the plan says of it."""

import pytest

from tlcli.system import precision

PLAIN, BF16 = "x86_64 avx avx2 fma", "x86_64 avx avx2 fma avx512f avx512_bf16"


@pytest.mark.parametrize(
    ("setting", "gpu", "policy"),
    [
        ("auto", False, "float32"),
        ("auto", True, "mixed_bfloat16"),
        ("mixed_float16", False, "mixed_float16"),
        ("float32", True, "float32"),
    ],
)
def test_the_device_decides_unless_told(setting, gpu, policy):
    assert precision.resolved(setting, gpu) == policy


@pytest.mark.parametrize(
    ("setting", "gpu", "processor", "said"),
    [
        ("auto", False, PLAIN, None),
        ("auto", False, BF16, "precision=mixed_bfloat16 may halve"),
        ("auto", False, "x86_64 avx2 amx_tile", "precision=mixed_bfloat16 may halve"),
        ("float32", False, BF16, None),
        ("auto", True, BF16, None),
        ("mixed_bfloat16", False, BF16, None),
        ("mixed_bfloat16", False, PLAIN, "precision=float32 is faster"),
        ("mixed_bfloat16", True, PLAIN, None),
        ("mixed_bfloat16", False, "aarch64 asimd", None),
        ("mixed_bfloat16", False, "x86_64", None),
    ],
)
def test_the_plan_names_the_faster_choice(monkeypatch, setting, gpu, processor, said):
    monkeypatch.setattr(precision, "instructions", lambda: processor)
    note = precision.note(setting, gpu)
    assert (note is None) if said is None else said in note
