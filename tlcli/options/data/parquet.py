"""Pictures in Parquet files, as the Hugging Face hub has them."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data import parquet
from tlcli.data.gathered import Gathering, Naming
from tlcli.data.split_files import split_files
from tlcli.options.data._several import Several

_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class Data(Several):
    """Files with train, validation or test in their names or folders; they are only read.

    Attributes:
        image_column: Pictures, as bytes or a struct of bytes and path; null finds it by its type.
        label_column: Numbers, texts, or lists of these; null finds it by type and name.
    """

    image_column: str | None
    label_column: str | None

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Index the files and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the index is kept.

        Raises:
            ConfigError: There are no such files or columns.
            DataError: A file or label that cannot be used, or what holds for folders as well.
        """
        files = split_files(self.path, _SUFFIXES)
        named = (self.image_column, self.label_column)
        first = parquet.parquet_columns(files.paths[0], *named)
        several = True if self.multi_label is None and first.several else self.multi_label
        naming = Naming(self.path, self.class_names, first.names, several)
        form = parquet.form(*named, first.names)
        gathering = Gathering(files, form, naming, self.how(), parquet.Groups(*named))
        return gathering.manifest(seed, cache_dir)
