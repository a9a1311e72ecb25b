"""What the studio keeps: a folder of files, each written whole or not at all.

    uploads/SHA256      what was dropped, by its checksum: the same file twice is one
    images/ID.json      its name and what it is for
    jobs/ID.json        pictures that wait or are at work, with ID.ckpt of one that was stopped by the end of the server
    results/ID.json     and ID.npy: pictures that are done, with their recipes

No name of a file comes from the page: ids are of this server's making, and only those that it knows are looked up.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jnst.errors import InputError, single_line
from jnst.io import image
from jnst.io.atomic import sweep, write_whole
from jnst.io.checksums import checksum
from jnst.io.decode import read_head

Role = Literal["photograph", "painting", "result", "mask"]
EXAMPLES: tuple[tuple[str, Role], ...] = (
    ("coffee.jpg", "photograph"), ("cat.png", "photograph"), ("rocket.jpg", "photograph"),
    ("swirls.jpg", "painting"), ("facets.jpg", "painting"), ("dabs.jpg", "painting"),
)  # fmt: skip
_FOLDERS = ("uploads", "images", "jobs", "results", "incoming")
_EXAMPLES_FOLDER = Path(__file__).parent / "examples"
_LONGEST_NAME = 120
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Upload:
    """An image that was dropped, or one of the examples."""

    id: str
    name: str
    role: Role
    width: int
    height: int
    sha256: str
    example: bool = False
    deleted: bool = False
    """whether it is only kept for pictures that were made of it"""

    def public(self) -> dict[str, Any]:
        """Returns what the page is told."""
        return {key: value for key, value in asdict(self).items() if key not in ("sha256", "deleted")}


@dataclass(frozen=True)
class Picture:
    """A picture that is done."""

    id: str
    name: str
    width: int
    height: int
    created: str
    """in ISO 8601"""
    photograph: str
    paintings: list[str]
    settings: dict[str, Any]
    loss: float
    seconds: float
    recipe: str

    def public(self) -> dict[str, Any]:
        """Returns what the page is told."""
        return {key: value for key, value in asdict(self).items() if key != "recipe"}


class MissingError(InputError):
    """There is nothing of that id."""


class Store:
    """The folder. Any thread may use it.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the folder, which is made where it is missing, for this process alone.

        Args:
            folder: of this machine.

        Raises:
            InputError: it cannot be used, or another studio does.
        """
        self.folder = folder
        self._lock = threading.RLock()  # of the records: never held while a file is copied, since the page waits for it
        self._files = threading.RLock()  # of uploads; taken before the other
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the pictures are nobody else's
            for name in _FOLDERS:
                (folder / name).mkdir(exist_ok=True)
            self._held = (folder / "lock").open("w")
        except OSError as error:
            raise InputError(f"{folder} cannot be used ({single_line(error)}); give another --folder") from None
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            raise InputError(f"{folder} is open in another studio; end that, or give another --folder") from None
        except OSError:  # a file system without locks
            pass
        for path in (folder / "incoming").iterdir():  # of uploads that a killed server left
            path.unlink()
        for name in _FOLDERS:
            sweep(folder / name)
        self._images = {upload.id: upload for upload in _examples()}
        self._images |= {record["id"]: Upload(**record) for record in self._records("images", Upload)}
        self._results = {record["id"]: Picture(**record) for record in self._records("results", Picture)}
        self._jobs = {record["id"]: record for record in self._records("jobs", None)}
        for upload in self._images.values():
            if upload.role == "mask":  # of a page that is closed; those of waiting jobs are needed
                self._images[upload.id] = replace(upload, deleted=True)
        self._sweep_uploads()

    def close(self) -> None:
        """Lets another process open the folder."""
        self._held.close()

    def _records(self, name: str, kind: type | None) -> Iterator[dict[str, Any]]:
        """The JSON files of a folder, oldest first; what is damaged or of a later version is left alone."""
        for path in sorted((self.folder / name).glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                record = json.loads(path.read_bytes())
                if record["id"] == path.stem and (kind is None or set(record) == {f.name for f in fields(kind)}):
                    yield record

    def _write(self, name: str, record: dict[str, Any]) -> None:
        text = json.dumps(record).encode()
        write_whole(self.folder / name / f"{record['id']}.json", lambda file: file.write(text))

    # images

    def new_file(self) -> Path:
        """Returns the path of a file that does not exist yet, for what is on its way here."""
        return self.folder / "incoming" / secrets.token_hex(8)

    def add_image(self, path: Path, name: str, role: Role) -> Upload:
        """Takes an image in: its file is copied, once for equal ones.

        Args:
            path: of a file that was read as an image.
            name: that the page has told.
            role: what it is for.

        Returns:
            The record.

        Raises:
            InputError: no image, or no room.
        """
        name, (height, width), sha = clean_name(name), read_head(path).size, checksum(path)
        key = _id_of(role, sha)
        upload = Upload(key, name, role, width, height, sha)
        with self._files:
            there = self._images.get(key)
            if there is not None and (there.example or not there.deleted):
                return there
            target = self._upload(sha)
            if not target.exists():
                with path.open("rb") as source:
                    write_whole(target, lambda file: shutil.copyfileobj(source, file))
            self._write("images", asdict(upload))
            with self._lock:
                self._images[key] = upload
        return upload

    def images(self) -> list[Upload]:
        """Returns all that the page shows, oldest first."""
        with self._lock:
            return [upload for upload in self._images.values() if not upload.deleted and upload.role != "mask"]

    def image(self, key: str) -> Upload:
        """Returns an image.

        Args:
            key: its id.

        Raises:
            MissingError: there is none.
        """
        with self._lock:
            return _get(self._images, key, "image")

    def image_of_checksum(self, sha256: str, role: Role) -> Upload | None:
        """Finds an image by its file's checksum.

        Args:
            sha256: 64 digits.
            role: that is preferred.

        Returns:
            The record; None where there is none.
        """
        with self._lock:
            found = [u for u in self._images.values() if u.sha256 == sha256 and not u.deleted]
        return min(found, key=lambda upload: upload.role != role, default=None)

    def file_of(self, upload: Upload) -> Path:
        """Returns where an image lies.

        Args:
            upload: its record.
        """
        return _EXAMPLES_FOLDER / upload.name if upload.example else self._upload(upload.sha256)

    def delete_image(self, key: str) -> None:
        """Takes an image from the page; its file stays as long as a picture is made of it.

        Args:
            key: its id.

        Raises:
            MissingError: there is none.
            InputError: it is an example.
        """
        with self._files:
            upload = self.image(key)
            if upload.example:
                raise InputError(f"{upload.name} is one of the examples, which stay")
            upload = replace(upload, deleted=True)
            self._write("images", asdict(upload))
            with self._lock:
                self._images[key] = upload
            self._sweep_uploads()

    def _upload(self, sha256: str) -> Path:
        return self.folder / "uploads" / sha256

    def _sweep_uploads(self) -> None:
        """Deletes what was taken from the page and no picture needs."""
        with self._files:
            with self._lock:
                needed = {key for result in self._results.values() for key in (result.photograph, *result.paintings)}
                for job in self._jobs.values():
                    needed |= set(_ids_of(job.get("request")))
                gone = [upload.id for upload in self._images.values() if upload.deleted and upload.id not in needed]
                for key in gone:
                    del self._images[key]
                kept = {upload.sha256 for upload in self._images.values()}
            for key in gone:
                (self.folder / "images" / f"{key}.json").unlink(missing_ok=True)
            for path in (self.folder / "uploads").iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    # jobs

    def jobs(self) -> list[dict[str, Any]]:
        """Returns the jobs that an earlier server has left, in their order."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.get("number", 0))

    def keep_job(self, job: dict[str, Any]) -> None:
        """Keeps a job.

        Args:
            job: with its `id`, as JSON has it.
        """
        self._write("jobs", job)
        with self._lock:
            self._jobs[job["id"]] = job

    def drop_job(self, key: str) -> None:
        """Forgets a job, and what was kept of its run.

        Args:
            key: its id.
        """
        with self._lock:
            self._jobs.pop(key, None)
        (self.folder / "jobs" / f"{key}.json").unlink(missing_ok=True)
        self.checkpoint(key).unlink(missing_ok=True)
        self._sweep_uploads()

    def checkpoint(self, key: str) -> Path:
        """Returns where the run of a job is kept.

        Args:
            key: its id.
        """
        return self.folder / "jobs" / f"{key}.ckpt"

    # results

    def add_result(self, result: Picture, pixels: np.ndarray) -> None:
        """Takes a picture in.

        Args:
            result: its record.
            pixels: (1, h, w, 3), RGB in [0, 1].
        """
        write_whole(self._pixels(result.id), lambda file: np.save(file, np.asarray(pixels, np.float32)))
        self._write("results", asdict(result))
        with self._lock:
            self._results[result.id] = result

    def results(self) -> list[Picture]:
        """Returns all, oldest first."""
        with self._lock:
            return list(self._results.values())

    def result(self, key: str) -> Picture:
        """Returns a picture's record.

        Args:
            key: its id.

        Raises:
            MissingError: there is none.
        """
        with self._lock:
            return _get(self._results, key, "result")

    def pixels(self, key: str) -> np.ndarray:
        """Returns a picture, (1, h, w, 3), RGB in [0, 1].

        Args:
            key: its id.

        Raises:
            MissingError: its file is gone.
        """
        try:
            return np.load(self._pixels(self.result(key).id), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise MissingError(f"the picture's file cannot be read ({single_line(error)})") from None

    def delete_result(self, key: str) -> None:
        """Deletes a picture.

        Args:
            key: its id.

        Raises:
            MissingError: there is none.
        """
        with self._lock:
            self.result(key)
            del self._results[key]
        (self.folder / "results" / f"{key}.json").unlink(missing_ok=True)
        self._pixels(key).unlink(missing_ok=True)
        self._sweep_uploads()

    def _pixels(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.npy"

    def told(self, error: BaseException) -> str:
        """Returns what an error says, with the names that the page knows in place of files of the folder.

        Args:
            error: of reading an image.
        """
        text = re.sub(rf"{re.escape(str(self.folder / 'incoming'))}{os.sep}[0-9a-f]*", "the file", single_line(error))
        with self._lock:
            for upload in self._images.values():
                text = text.replace(str(self.file_of(upload)), upload.name)
        return text.replace(f"{self.folder}{os.sep}", "")


def _get(records: dict[str, Any], key: str, what: str) -> Any:
    if key not in records:
        raise MissingError(f"there is no {what} {key[:40]}; it may have been deleted: load the page again")
    return records[key]


def _id_of(role: Role, sha256: str) -> str:
    """The id of an image: equal files for one purpose are one."""
    return hashlib.sha256(f"{role}:{sha256}".encode()).hexdigest()[:16]


def _ids_of(request: Any) -> Iterator[str]:
    """Ids of the images in a job's request, as it lies in a file."""
    for key, value in request.items() if isinstance(request, dict) else ():
        if key == "paintings":
            for part in value:
                yield from _ids_of(part)
        elif key in ("photograph", "image", "mask") and isinstance(value, str):
            yield value


def clean_name(name: str) -> str:
    """Returns a file's name without folders and what cannot be shown.

    Args:
        name: that the page has told.
    """
    last = re.split(r"[/\\]", name)[-1]
    short = " ".join(_UNPRINTABLE.sub(" ", last).split())[-_LONGEST_NAME:].strip()
    return short.encode("utf-8", "replace").decode() if short not in ("", ".", "..") else "picture"


def _examples() -> Iterator[Upload]:
    for name, role in EXAMPLES:
        path = _EXAMPLES_FOLDER / name
        if path.exists():
            sha, (height, width) = checksum(path), read_head(path).size
            yield Upload(_id_of(role, sha), name, role, width, height, sha, example=True)


def require_readable(path: Path) -> image.Photograph:
    """Reads an image, so that what is none is refused when it comes.

    Args:
        path: of its file.

    Returns:
        It, at the size of a preview.

    Raises:
        InputError: as of `image.load`.
    """
    return image.read(path, image_size=768)
