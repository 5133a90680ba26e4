"""Make tlcli/options/data/digits.npz from scikit-learn's copy of the UCI optical digits.

Run once, in an environment that has scikit-learn: python scripts/make/digits.py [FILE]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).parents[2] / "tlcli" / "options" / "data" / "digits.npz"


def main() -> None:
    """Write images, uint8 (1797, 8, 8) from 0 to 16, and labels, uint8 (1797,)."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    if images.shape != (1797, 8, 8) or images.max() != 16 or (images != digits.images).any():
        sys.exit("scikit-learn's digits are not the 1,797 images of 8x8 values from 0 to 16")
    np.savez_compressed(target, images=images, labels=labels)
    print(f"{target}: {len(labels)} images, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
