"""Pictures in Parquet files, as the Hugging Face hub has them."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data import parquet
from tlcli.data.gathered import Gathering
from tlcli.data.split_files import split_files
from tlcli.options.data._columns import InColumns

_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class Data(InColumns):
    """Files with train, validation or test in their names or folders; they are only read."""

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
        form = parquet.form(*named, first.names)
        gathering = Gathering(files, form, self.naming(first), self.how(), parquet.Groups(*named))
        return gathering.manifest(seed, cache_dir)
