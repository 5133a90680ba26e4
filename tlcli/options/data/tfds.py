"""Pictures of a data set that TensorFlow Datasets has built."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data import tfds, tfds_file
from tlcli.data.gathered import Gathering
from tlcli.data.split_files import SplitFiles, chosen
from tlcli.errors import ConfigError
from tlcli.options.data._columns import InColumns
from tlcli.system.files import expanded
from tlcli.system.located import located
from tlcli.system.remote import is_address
from tlcli.system.shown import shown


@dataclass(frozen=True)
class Data(InColumns):
    """Its array_record or TFRecord files; they are only read, and nothing is fetched.

    Attributes:
        data_dir: Folder that names are looked for in; null for `~/tensorflow_datasets`.
        split: The one split to take, validation and test being carved from it; null for all that
            are called train, validation or test.
    """

    data_dir: str | None
    split: str | None

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Index the files of the data set and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the index is kept.

        Raises:
            ConfigError: There is no such data set, version, split or feature.
            DataError: A file or label that cannot be used, or what holds for folders as well.
        """
        built = tfds.built(self._folder(), self.image_column, self.label_column)
        held = [split for split, files in built.files.items() if files]
        used, notes = chosen(str(built.folder), held, self.split)
        files = [(name, split) for split in used for name in built.files[split]]
        splits = [used[split] for _, split in files]
        found = SplitFiles(built.folder, [name for name, _ in files], splits, notes)
        counts = {built.folder / name: built.files[split][name] for name, split in files}
        form = tfds_file.form(built, counts)
        unpack = tfds_file.Packed(built.columns.image)
        naming = self.naming(built.columns)
        return Gathering(found, form, naming, self.how(), unpack).manifest(seed, cache_dir)

    def _folder(self) -> Path:
        """The folder of a version: what was given, or a name below data_dir."""
        name, _, version = self.path.partition(":")
        if is_address(self.path) or expanded(self.path, "data.path").exists():
            return tfds.folder_of(located(self.path, "data.path"), None)
        root = located(self.data_dir or "~/tensorflow_datasets", "data.data_dir")
        if not (root / name).is_dir() or not name.strip("./"):
            problem = f"there is no folder {shown(self.path)}, and no data set of that name"
            remedy = "Build it with TensorFlow Datasets, or say where it lies by data.data_dir."
            raise ConfigError("data.path", f"{problem} in {shown(root)}", remedy)
        return tfds.folder_of(root / name, version or None)
