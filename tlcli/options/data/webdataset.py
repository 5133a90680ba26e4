"""Pictures in tar shards, as WebDataset writes them."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data import tar
from tlcli.data.gathered import Gathering, Naming
from tlcli.data.labels import labels_file
from tlcli.data.split_files import split_files
from tlcli.options.data._several import Several


@dataclass(frozen=True)
class Data(Several):
    """Shards with train, validation or test in their names or folders; they are only read.

    The members of a sample share a name up to its first dot: a picture, and .cls, .txt or .json.
    """

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Index the shards and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the index is kept.

        Raises:
            ConfigError: There are no such shards.
            DataError: A shard or label that cannot be used, or what holds for folders as well.
        """
        files = split_files(self.path, (".tar",))
        told = None if self.class_names else labels_file(files.root)
        naming = Naming(self.path, self.class_names, told, self.multi_label)
        return Gathering(files, tar.FORMAT, naming, self.how()).manifest(seed, cache_dir)
