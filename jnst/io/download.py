"""Brings a weight file from the network: checked, by atomic rename, tried twice. Prints nothing."""

import socket
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import requests

DownloadProgress = Callable[[int, int], None]
"""(bytes so far, bytes in all)"""

CONNECT_SECONDS = 3.0  # a machine without a network must not wait longer to be told so


def download(url: str, known_hash: str, folder: Path, progress: DownloadProgress) -> tuple[Path | None, str]:
    """Downloads a file into a folder, where it is not there already.

    Args:
        url: of the file; its last part is the file's name.
        known_hash: "algorithm:digest".
        folder: made where it does not exist.
        progress: gets the bytes so far and in all.

    Returns:
        The file's path and "", or None and what went wrong, in words for the end of a sentence.
    """
    unreachable = _unreachable(url)
    if unreachable:
        return None, unreachable
    name = Path(urllib.parse.urlparse(url).path).name
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("CRITICAL")  # pooch logs each try; the caller tells the user once
    bar: Any = _Progress(progress)  # pooch takes any object with tqdm's methods, whatever its annotation says
    downloader: Any = pooch.HTTPDownloader(progressbar=bar, timeout=(CONNECT_SECONDS, 30))
    try:
        store = pooch.create(folder, "", registry={name: known_hash}, urls={name: url}, retry_if_failed=1)
        store.fetch(name, downloader=downloader)
    except (requests.RequestException, OSError, ValueError) as error:
        reason = "a wrong checksum" if "hash" in str(error) else type(error).__name__
        return None, f"the download of {url} failed ({reason})"
    finally:
        logger.setLevel(level)
    return folder / name, ""


class _Progress:
    """pooch's progress interface (tqdm's) -> a callback."""

    def __init__(self, callback: DownloadProgress):
        self.callback, self.total, self.done = callback, 0, 0

    def update(self, count: int) -> None:
        self.done += count
        self.callback(min(self.done, self.total), self.total)  # pooch counts the last block as full

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _unreachable(url: str) -> str:
    """Why no connection to the URL's host (or its proxy) can be made within CONNECT_SECONDS; empty where one can.

    In a thread of its own, since a name server that does not answer would hold us longer than any timeout of ours.
    """
    target = urllib.parse.urlparse(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or url)
    port = target.port or (443 if target.scheme == "https" else 80)
    outcome: list[Any] = []

    def connect() -> None:
        try:
            socket.create_connection((target.hostname or "", port), CONNECT_SECONDS).close()
            outcome.append("")
        except OSError as error:
            outcome.append(f"no network: {target.hostname} cannot be reached ({error.strerror or error})")

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return outcome[0] if outcome else f"no network: {target.hostname} did not answer in {CONNECT_SECONDS:g} s"
