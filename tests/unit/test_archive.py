"""Archives: the same files give the same bytes, wherever and whenever they are packed."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from sm_constructs import _archive

FILES = {"model.joblib": b"\x00\x01", "code/inference.py": b"import textprep\n", "code/textprep/规则.py": b"# rules\n"}


def tree(directory: Path, names: list[str], *, mode: int, seconds: int) -> Path:
    """Write FILES in a given order, with a mode and a time of change."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
        path.chmod(mode)
        os.utime(path, (seconds, seconds))
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tree(tmp_path / "model", list(FILES), mode=0o644, seconds=1_700_000_000)


def test_archives_of_equal_files_are_byte_for_byte_the_same(directory: Path, tmp_path: Path) -> None:
    other = tree(tmp_path / "somewhere" / "else", list(reversed(FILES)), mode=0o700, seconds=1)

    _archive.write_tar_gz(_archive.collect(directory), tmp_path / "one.tar.gz")
    _archive.write_tar_gz(_archive.collect(other), tmp_path / "two.tar.gz")

    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_an_archive_has_nothing_of_the_machine_in_it(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(directory), target)

    with tarfile.open(target) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(FILES)
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert member.mode == 0o644
    header = target.read_bytes()[:10]
    assert header[3] == 0, "no file name in the gzip header"
    assert header[4:8] == bytes(4), "no time in the gzip header"


def test_an_archive_holds_the_files_as_they_are(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(directory), target)

    with tarfile.open(target) as archive:
        archive.extractall(tmp_path / "extracted", filter="data")
    assert {name: (tmp_path / "extracted" / name).read_bytes() for name in FILES} == FILES


def test_an_archives_bytes_are_the_same_on_every_machine(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(directory), target)

    # Of this test's files on any machine: were it another one somewhere, the archive would depend on it.
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert digest == "383da223a9d9bafc8eb522583a15138555d53f20b647794870ecf62f1fb1a05d"


def test_no_compression_of_any_zlib_is_in_an_archive(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(directory), target)

    assert gzip.decompress(target.read_bytes()) in target.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 65_535 * 3 - 512, 65_535 * 3 + 1, 1_000_000])
def test_files_of_any_size_come_out_as_they_are(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    target = tmp_path / "model.tar.gz"

    _archive.write_tar_gz({"file": tmp_path / "file"}, target)

    with tarfile.open(target) as archive:
        member = archive.extractfile("file")
        assert member is not None
        assert member.read() == content
    assert content in gzip.decompress(target.read_bytes())  # which checks the sum


def test_fingerprints_tell_contents_apart(directory: Path) -> None:
    before = _archive.fingerprint(_archive.collect(directory))
    (directory / "model.joblib").write_bytes(b"\x00\x02")

    assert _archive.fingerprint(_archive.collect(directory)) != before


def test_fingerprints_tell_names_apart(directory: Path) -> None:
    before = _archive.fingerprint(_archive.collect(directory))
    (directory / "model.joblib").rename(directory / "model.pickle")

    assert _archive.fingerprint(_archive.collect(directory)) != before


def test_fingerprints_tell_where_a_name_ends_and_a_content_begins(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"bc")
    (tmp_path / "ab").write_bytes(b"c")

    assert _archive.fingerprint({"a": tmp_path / "a"}) != _archive.fingerprint({"ab": tmp_path / "ab"})


def test_fingerprints_do_not_see_times_modes_and_places(directory: Path, tmp_path: Path) -> None:
    other = tree(tmp_path / "else", list(FILES), mode=0o600, seconds=1)

    assert _archive.fingerprint(_archive.collect(directory)) == _archive.fingerprint(_archive.collect(other))


def test_what_tools_leave_behind_is_left_out(directory: Path) -> None:
    before = _archive.collect(directory)
    (directory / "code" / "__pycache__").mkdir()
    (directory / "code" / "__pycache__" / "inference.cpython-311.pyc").write_bytes(b"")
    (directory / "code" / "old.pyc").write_bytes(b"")
    (directory / ".DS_Store").write_bytes(b"")

    assert _archive.collect(directory) == before


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.joblib", ["code/inference.py", "code/textprep/规则.py"]),
        ("textprep", ["code/inference.py", "model.joblib"]),
        ("code/textprep", ["code/inference.py", "model.joblib"]),
        ("code/*.py", ["model.joblib"]),
        ("inference", sorted(FILES)),
    ],
)
def test_patterns_leave_out_names_and_paths(directory: Path, pattern: str, left: list[str]) -> None:
    assert list(_archive.collect(directory, exclude=[pattern])) == left


def test_a_symbolic_link_is_refused_by_name(directory: Path) -> None:
    (directory / "code" / "latest.py").symlink_to("inference.py")

    with pytest.raises(ValueError, match=r"'code/latest.py' is a symbolic link: copy what it points to, or exclude it"):
        _archive.collect(directory)


def test_a_symbolic_link_that_is_excluded_does_no_harm(directory: Path) -> None:
    (directory / "code" / "latest.py").symlink_to("inference.py")

    assert list(_archive.collect(directory, exclude=["latest.py"])) == sorted(FILES)


def test_what_is_no_file_is_refused_before_it_is_read(directory: Path) -> None:
    os.mkfifo(directory / "pipe")

    with pytest.raises(ValueError, match="'pipe' is neither a file nor a directory"):
        _archive.collect(directory)
