"""The classifier of an earlier run of `tl train`."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.teacher import Target
from tlcli.options.teacher._common import Computed, run_classes


@dataclass(frozen=True)
class Teacher(Computed):
    """A finished run; its classes are matched to the student's by name.

    Attributes:
        path: Its folder.
    """

    path: str

    def known_classes(self) -> tuple[str, ...] | None:
        """Those of the run.

        Raises:
            DataError: No finished run.
        """
        return run_classes(self.path)

    def build(self, target: Target) -> Any:
        """The teacher; subsets and other orders of its classes are fine.

        Raises:
            ConfigError: A class of the student that it does not know.
            DataError: No finished run.
        """
        from tlcli.distill.network import float32_policy, run_network
        from tlcli.distill.network_teacher import NetworkTeacher

        with float32_policy():
            network = run_network(self.path, target, "teacher.path")
            return NetworkTeacher(network, target, self)
