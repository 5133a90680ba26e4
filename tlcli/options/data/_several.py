"""What options have in common whose files hold many pictures."""

from dataclasses import dataclass

from tlcli.errors import require
from tlcli.options.data._read import ReadTested


@dataclass(frozen=True, kw_only=True)
class Several(ReadTested):
    """Keys of every such option.

    Attributes:
        class_names: In the order of the labels; null for those that the data tells.
        multi_label: Whether a picture may have several labels; null: when any has.
    """

    class_names: tuple[str, ...] | None
    multi_label: bool | None

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.class_names
        good = names is None or len({*names}) == len(names) > 0
        require(good, "data.class_names", names, "Give each class a name of its own, or null.")
