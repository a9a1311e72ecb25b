"""The studio as a server of this machine: folder, worker and uvicorn, from the first to the last."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jnst.config import Config
from jnst.errors import InputError, single_line
from jnst.io import optional
from jnst.studio.app import Studio, make_app
from jnst.studio.bodies import MOST_UPLOAD
from jnst.studio.events import Broker
from jnst.studio.guard import LOCAL, Access
from jnst.studio.store import Store
from jnst.studio.worker import Worker

if TYPE_CHECKING:
    from jnst.io.weights import Weights

LEAST_PASSWORD = 8
MOST_CONNECTIONS = 500
_GRACE_SECONDS = 2


@dataclass
class Serving:
    """A studio that is open.

    Attributes:
        address: to open in a browser, with the token.
        run: serves until `stop` is called, or a signal comes in the main thread.
        stop: ends serving; from any thread.
    """

    address: str
    access: Access
    worker: Worker
    broker: Broker
    run: Callable[[], None]
    stop: Callable[[], None]


def require_packages() -> None:
    """Refuses to begin where the extra is missing.

    Raises:
        InputError: with the command that installs it.
    """
    if None in (optional.find("starlette.applications"), optional.find("uvicorn")):
        raise InputError(f"jnst studio needs further packages: {optional.install('web')}")


def is_local(host: str) -> bool:
    """Returns whether only this machine can reach a host's address.

    Args:
        host: to listen at.
    """
    return host in (*LOCAL, "::1")


@contextlib.contextmanager
def open_studio(
    folder: Path, load: "Callable[[], Weights]", *, host: str = "127.0.0.1", port: int = 0, password: str = "",
    base: Config | None = None, most_upload: int = MOST_UPLOAD,
) -> Iterator[Serving]:  # fmt: skip
    """Opens a studio: a context manager, which ends its work and keeps what is not done.

    Args:
        folder: of images, results and the queue.
        load: finds the weights, on the worker's thread.
        host: to listen at; another than this machine's own needs a password.
        port: 0: a free one.
        password: for who comes over a network.
        base: all settings that the page says nothing of.
        most_upload: bytes of an image.

    Yields:
        The studio, which listens from now on and serves by `run`.

    Raises:
        InputError: a package that is missing, a host without a password, a port or folder that cannot be used.
    """
    require_packages()
    if not is_local(host) and len(password) < LEAST_PASSWORD:
        raise InputError(
            f"--host {host} lets other machines in, which needs a password of at least {LEAST_PASSWORD} letters; give "
            "it by --password-file"
        )
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listen(host, port))
        port = listening.getsockname()[1]
        store = stack.enter_context(contextlib.closing(Store(folder)))
        broker = Broker()
        worker = Worker(store, broker, load, base=base)
        access = Access(port, host, password)
        uvicorn = optional.find("uvicorn")
        app = make_app(Studio(store, broker, worker, most_upload=most_upload), access)
        settings = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="off", ws="none", proxy_headers=False,
            server_header=False, limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=_GRACE_SECONDS,
            http="h11", loop="asyncio",
        )  # fmt: skip
        server = uvicorn.Server(settings)

        def stop() -> None:
            server.should_exit = True
            broker.close()

        worker.start()
        stack.callback(worker.close)
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        yield Serving(
            f"http://{name}:{port}/?token={access.token}", access, worker, broker,
            lambda: _serve(server, listening, broker), stop,
        )  # fmt: skip


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((name, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{host}:{port} cannot be listened at ({single_line(error)}); give another --port"
            ) from None
        listening.listen(200)
        yield listening


def _serve(server: Any, listening: socket.socket, broker: Broker) -> None:
    """Serves. uvicorn raises the signal that ended it once more, when pictures are still to be kept."""
    before = {}
    if threading.current_thread() is threading.main_thread():

        def ended(number: int, frame: Any) -> None:
            """Nothing more is to be done."""

        before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
    leave = server.handle_exit

    def handle_exit(number: int, frame: Any) -> None:
        broker.close()  # or the pages that listen would be waited for
        leave(number, frame)

    server.handle_exit = handle_exit
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
