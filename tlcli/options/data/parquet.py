"""Pictures in Parquet files, as the Hugging Face hub has them."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data import parquet
from tlcli.data.gathered import Gathering, Naming
from tlcli.data.split_files import split_files
from tlcli.errors import DataError
from tlcli.options.data._several import Several
from tlcli.system.shown import shown

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
        found = [parquet.parquet_columns(path, *named) for path in files.paths]
        for path, one in zip(files.paths, found, strict=True):
            if one.names != found[0].names:
                other = shown(str(files.paths[0]))
                problem = f"names its classes otherwise than {other}"
                raise DataError(str(path), problem, "Give files of one data set.")
        several = self.multi_label
        if several is None and any(one.several for one in found):
            several = True
        naming = Naming(self.path, self.class_names, found[0].names, several)
        form = parquet.form(*named)
        gathering = Gathering(files, form, naming, self.how(), parquet.Groups(*named))
        return gathering.manifest(seed, cache_dir)
