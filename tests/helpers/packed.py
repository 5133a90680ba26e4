"""A folder of pictures in the forms that data sets come in."""

import io
import json
import tarfile

import pyarrow as pa
from pyarrow import parquet

from tests.helpers.data import PLAIN
from tlcli.config import registry


def rows_of(folder):
    """Id, bytes and class of the pictures of a folder of class folders, in the order of `tl`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(p.relative_to(folder)), p.read_bytes(), p.parent.name) for p in files]


def manifest(option, path, cache, **changes):
    """The manifest of an option with splits that are all given or carved as changed."""
    usual = registry.defaults("data", option)
    plain = {"validation_fraction": 0.0, "test_fraction": 0.0, "on_error": "fail"}
    plain = {key: value for key, value in plain.items() if key in usual}
    values = {**usual, **PLAIN, **plain, "path": str(path), **changes}
    return registry.build("data", values).manifest(0, cache)


def features(names):
    """A Hugging Face schema's metadata: pictures, and classes with their names."""
    found = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": found}}).encode()}


def table(rows, names=None):
    """Rows as an Arrow table: structs of bytes and path, numbers where there are names."""
    image = pa.array([{"bytes": data, "path": name} for name, data, _ in rows])
    labels = [one if names is None else names.index(one) for *_, one in rows]
    made = pa.table({"image": image, "label": pa.array(labels)})
    return made.replace_schema_metadata(features(names)) if names else made


def write_parquet(path, rows, names=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table(rows, names), path, **options)


def write_tar(path, rows, ending="txt", names=None):
    """Rows as WebDataset has them; labels as texts, numbers or JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data, label in rows:
            value = names.index(label) if names and isinstance(label, str) else label
            text = json.dumps({"label": value}) if ending == "json" else str(value)
            stem = name.rpartition(".")[0]
            for member, content in ((name, data), (f"{stem}.{ending}", text.encode())):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def write_hf(folder, parts, names):
    """Splits of rows as `datasets` saves them."""
    # Here and not above: once imported it does not ask again whether it is offline.
    import datasets

    kinds = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    )
    made = datasets.DatasetDict({
        split: datasets.Dataset.from_dict(
            {"image": [{"bytes": data, "path": name} for name, data, _ in rows],
             "label": [names.index(label) for *_, label in rows]}, features=kinds)
        for split, rows in parts.items()
    })  # fmt: skip
    made.save_to_disk(str(folder))


def write_tfds(folder, parts, names, form="array_record", kind=None):
    """Splits of rows as TensorFlow Datasets writes them, in order; gives the folder of the version.

    Args:
        folder: Its data_dir.
        parts: Rows by split.
        names: Of the classes.
        form: Of the files.
        kind: Feature of the labels; classes by default.
    """
    # Here and not above: it takes seconds to import.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_builder, download

    features = {"image": tfds.features.Image(), "file_name": tfds.features.Text(),
                "label": kind or tfds.features.ClassLabel(names=list(names))}  # fmt: skip

    class Shapes(dataset_builder.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, _):
            return {split: self._generate_examples(rows) for split, rows in parts.items()}

        def _generate_examples(self, rows):
            for number, (name, data, label) in enumerate(rows):
                yield number, {"image": io.BytesIO(data), "file_name": name, "label": label}

    made = Shapes(data_dir=folder, file_format=form)
    config = download.DownloadConfig(num_shards=2)
    made.download_and_prepare(download_config=config)
    return made.data_path
