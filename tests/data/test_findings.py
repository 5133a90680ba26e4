import pytest

from tlcli.data.findings import Entry, excluding, relabelling
from tlcli.errors import ConfigError, DataError

TABLE = """id,split,class,kind,score,suggestion,detail
a.png,train,cat,label_error,0.99,dog,
b.png,train,cat,exact_duplicate,1,exclude,
c.png,test,cat,exact_duplicate,1,keep,
d.png,train,cat,conflicting_label,1,,
,,cat,spurious_cue,0.9,look,
'=e.png,train,cat,label_error,0.98,'+dog,
f.png,train,cat,outlier,0.9,look,
"""


@pytest.fixture
def table(tmp_path):
    def write(text, name="audit.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_rows_of_an_audit_that_leave_pictures_out(table):
    ids = [entry.id for entry in excluding(table(TABLE))]
    assert ids == ["a.png", "b.png", "d.png", "=e.png"]


def test_rows_of_an_audit_that_correct_labels(table):
    assert relabelling(table(TABLE)) == [
        Entry("a.png", "label_error", "dog"), Entry("=e.png", "label_error", "+dog"),
    ]  # fmt: skip


def test_tables_of_a_person(table):
    assert excluding(table("\ufeffid\na.png\n\nb.png\n")) == [
        Entry("a.png", "", ""), Entry("b.png", "", ""),
    ]  # fmt: skip
    assert relabelling(table("id,label\na.png,dog\nb.png,\n")) == [Entry("a.png", "", "dog")]


@pytest.mark.parametrize("read", [excluding, relabelling])
def test_other_tables_are_refused(table, read):
    key = "exclude" if read is excluding else "relabel"
    with pytest.raises(ConfigError, match=rf"^data\.{key}: .*has the scores .* beside it\.$"):
        read(table("id,class,suggestion,label_error\na,b,c,0.5\n", "scores.csv"))
    with pytest.raises(ConfigError, match=r"has no column id\. Give"):
        read(table("path\na\n"))
    with pytest.raises(ConfigError, match="there is no such file"):
        read(table("").with_name("none.csv"))
    with pytest.raises(ConfigError, match="has no column id"):
        read(table(""))


def test_relabelling_needs_labels(table):
    with pytest.raises(ConfigError, match=r"has no column suggestion\."):
        relabelling(table("id\na\n"))


@pytest.mark.parametrize("content", [b"id\n\xff\n", b'id\n"a\n'])
def test_what_is_no_table_is_told_in_one_line(table, content):
    path = table("")
    path.write_bytes(content)
    with pytest.raises(DataError) as told:
        excluding(path)
    assert str(path) in str(told.value)
