"""Which precision a device gets, and what the plan says of it."""

import pytest

from tlcli import precision, state

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
    ("policy", "gpu", "processor", "said"),
    [
        ("float32", False, PLAIN, None),
        ("float32", False, BF16, "precision=mixed_bfloat16 may halve"),
        ("float32", False, "x86_64 amx_tile amx_bf16", "precision=mixed_bfloat16 may halve"),
        ("float32", True, BF16, None),
        ("mixed_bfloat16", False, BF16, None),
        ("mixed_bfloat16", False, PLAIN, "slower than float32"),
        ("mixed_float16", False, BF16, "slower than float32"),
        ("mixed_float16", True, PLAIN, None),
    ],
)
def test_the_plan_names_the_faster_choice(monkeypatch, policy, gpu, processor, said):
    monkeypatch.setattr(state, "instructions", lambda: processor)
    note = precision.note(policy, gpu)
    assert (note is None) if said is None else said in note
