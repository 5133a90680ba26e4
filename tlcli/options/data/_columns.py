"""What options have in common whose pictures and labels lie in columns that have names."""

from dataclasses import dataclass

from tlcli.data.arrow import Columns
from tlcli.data.gathered import Naming
from tlcli.options.data._several import Several


@dataclass(frozen=True, kw_only=True)
class InColumns(Several):
    """Keys of every such option.

    Attributes:
        image_column: Pictures; null finds the column by its type.
        label_column: Numbers, texts, or lists of these; null finds it by type and name.
    """

    image_column: str | None
    label_column: str | None

    def naming(self, columns: Columns) -> Naming:
        """What classes are called, as the keys and the columns say."""
        several = True if self.multi_label is None and columns.several else self.multi_label
        return Naming(self.path, self.class_names, columns.names, several)
