"""What pyproject.toml cannot say: `configs/` lies beside the package and is shipped within it."""

from setuptools import find_namespace_packages, find_packages, setup

CONFIGS = ["configs", *(f"configs.{name}" for name in find_namespace_packages("configs"))]

setup(
    packages=[*find_packages(include=["tlcli", "tlcli.*"]), *(f"tlcli.{c}" for c in CONFIGS)],
    package_dir={"tlcli": "tlcli", "tlcli.configs": "configs"},
)
