"""How outputs are written: dense, or the likeliest classes."""

import numpy as np
import pytest

from tlcli.distill.coding import Coding, kept_classes, likeliest
from tlcli.errors import TlError


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_likeliest_classes_keep_their_probability_and_share_the_rest():
    logits = np.random.default_rng(0).normal(0, 3, (20, 50)).astype(np.float32)
    coding = Coding({"teacher_logits": (50,)}, "top_k", 7)
    found = coding.decode(coding.encode({"teacher_logits": logits}))["teacher_logits"]
    p, q = softmax(logits.astype(np.float64)), softmax(found.astype(np.float64))
    expected = np.empty_like(p)
    for i, row in enumerate(p):
        top = np.argsort(-row)[:7]
        expected[i] = (1 - row[top].sum()) / 43
        expected[i, top] = row[top]
    np.testing.assert_allclose(q, expected, atol=4e-3)  # float16: 10 bits of a logit near 10
    np.testing.assert_array_equal(q.argmax(-1), p.argmax(-1))
    assert coding.dtype.itemsize == 7 * (2 + 2) + 4
    # Without rounding the equality is exact.
    classes, kept, rest = likeliest(logits, 7)
    exact = np.repeat(rest[:, None], 50, 1)
    np.put_along_axis(exact, classes, kept, 1)
    np.testing.assert_allclose(softmax(exact.astype(np.float64)), expected, atol=1e-6)


def test_kept_classes_hold_the_mass():
    # Probabilities 1/2, 1/4, 1/8, 1/8: two classes hold 0.75, three 0.875.
    logits = np.log([[8.0, 4.0, 2.0, 2.0]])
    assert [kept_classes(logits, mass, 9) for mass in (0.4, 0.74, 0.76)] == [1, 2, 3]
    assert kept_classes(logits, 0.999, 9) == 3
    assert kept_classes(logits, 0.999, 2) == 2


def test_what_float16_cannot_hold_is_refused():
    coding = Coding({"teacher_logits": (2,)}, "float16", 0)
    fine = coding.decode(coding.encode({"teacher_logits": np.array([[1.0, 60000.0]])}))
    np.testing.assert_allclose(fine["teacher_logits"], [[1.0, 60000.0]], rtol=5e-4)
    with pytest.raises(TlError, match=r"above what float16 holds.*cache_format=float32"):
        coding.encode({"teacher_logits": np.array([[1.0, 70000.0]])})
