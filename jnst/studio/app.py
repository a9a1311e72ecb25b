"""The studio's addresses (Starlette): what the page asks and is told. Files are read and written by threads."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jnst.errors import InputError
from jnst.io import optional
from jnst.io.recipe import Recipe, read_recipe
from jnst.studio.bodies import MOST_UPLOAD, StalledError, TooLargeError, read_json, save_body
from jnst.studio.events import Broker
from jnst.studio.guard import Access, Guard
from jnst.studio.jobs import Job
from jnst.studio.settings import FORMATS, Settings, parse_order, require_id, settings_of_recipe
from jnst.studio.store import MissingError, Role, Store, Upload, clean_name, require_readable
from jnst.studio.worker import Worker

STATIC = Path(__file__).parent / "static"
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MOST_SIDE = 4096
_DECODERS = 2  # images that are decoded at a time
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.js|\.css|\.svg)")


class Studio:
    """The handlers, and what they work on."""

    def __init__(self, store: Store, broker: Broker, worker: Worker, *, most_upload: int = MOST_UPLOAD) -> None:
        """Takes what the server has opened.

        Args:
            store: of images and results.
            broker: of events.
            worker: of jobs.
            most_upload: bytes of an image.
        """
        self.store, self.broker, self.worker, self.most_upload = store, broker, worker, most_upload
        self.responses = optional.find("starlette.responses")
        self._decoding = asyncio.Semaphore(_DECODERS)

    async def _by_thread(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """What takes memory and time, few at once."""
        async with self._decoding:
            return await asyncio.to_thread(function, *arguments, **more)

    def _json(self, value: Any, code: int = 200) -> Any:
        return self.responses.JSONResponse(value, code)

    def _picture(self, content: bytes) -> Any:
        return self.responses.Response(content, media_type="image/webp", headers=_FOREVER)

    # the page

    async def index(self, request: Any) -> Any:
        """Answers with the page.

        Args:
            request: of Starlette, as in all handlers.

        Returns:
            The answer, as all handlers do.
        """
        return await self._file("index.html", "text/html")

    async def static(self, request: Any) -> Any:
        """Answers with a part of the page.

        Args:
            request: with its name.

        Returns:
            The answer.
        """
        name = request.path_params["name"]
        if not _NAME.fullmatch(name):
            raise MissingError("there is no such file")
        return await self._file(name, KINDS[Path(name).suffix])

    async def _file(self, name: str, kind: str) -> Any:
        try:
            content = await asyncio.to_thread((STATIC / name).read_bytes)
        except OSError:
            raise MissingError(f"there is no {name}") from None
        return self.responses.Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    async def state(self, request: Any) -> Any:
        """Answers with all that a page shows when it is opened.

        Args:
            request: without more.

        Returns:
            The answer.
        """
        images = [upload.public() for upload in self.store.images()]
        return self._json({
            "images": [image for image in images if not image["example"]],
            "examples": [image for image in images if image["example"]],
            "jobs": [job.public() for job in self.worker.jobs()],
            "results": [result.public() for result in self.store.results()],
            "machine": {"device": self.worker.device, "max_upload_bytes": self.most_upload},
            "settings": vars(Settings()),
            "event": self.broker.last,
        })  # fmt: skip

    async def events(self, request: Any) -> Any:
        """Answers with what happens, as long as somebody listens.

        Args:
            request: perhaps with Last-Event-ID.

        Returns:
            The answer.
        """
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "")
        number = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else None
        return self.responses.StreamingResponse(self.broker.follow(number), media_type="text/event-stream")

    # images

    async def add_image(self, request: Any) -> Any:
        """Takes a photograph, a painting, or a result whose settings come back.

        Args:
            request: with the file as its body.

        Returns:
            The answer.
        """
        role = request.query_params.get("role")
        if role not in ("photograph", "painting"):
            raise InputError("role must be photograph or painting")
        return self._json(await self._receive(request, self._take_image, role), 201)

    async def add_mask(self, request: Any) -> Any:
        """Takes a mask.

        Args:
            request: with the file as its body, and the photograph's id.

        Returns:
            The answer.
        """
        photograph = self.store.image(require_id("image", request.query_params.get("image")))
        return self._json(await self._receive(request, self._take_mask, photograph), 201)

    async def _receive(self, request: Any, take: Callable[..., Any], more: Any) -> Any:
        path = self.store.new_file()
        name = clean_name(unquote(request.headers.get("x-name", ""), errors="replace"))
        await save_body(request, path, most=self.most_upload)
        try:
            return await self._by_thread(take, path, name, more)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _take_image(self, path: Path, name: str, role: Role) -> dict[str, Any]:
        require_readable(path)
        try:
            recipe = read_recipe(path)
        except InputError:  # most pictures have none
            recipe = None
        upload = self.store.add_image(path, name, role if recipe is None else "result")
        return {"image": upload.public(), "recipe": None if recipe is None else self._known(recipe, name)}

    def _known(self, recipe: Recipe, name: str) -> dict[str, Any]:
        """A recipe as the page has it, with those of its inputs that are here."""
        files: dict[str, list[Any]] = {role: list(recipe.inputs.get(role, ())) for role in ("content", "styles")}

        def found(file: Any, role: Role) -> str | None:
            upload = self.store.image_of_checksum(file.sha256, role) if file.sha256 else None
            return None if upload is None else upload.id

        photographs = files["content"][:1]
        return {
            "settings": vars(settings_of_recipe(recipe, name)),
            "photograph": found(photographs[0], "photograph") if photographs else None,
            "paintings": [found(file, "painting") for file in files["styles"]],
            "names": {"photograph": photographs[0].name if photographs else "",
                      "paintings": [file.name for file in files["styles"]]},
        }  # fmt: skip

    def _take_mask(self, path: Path, name: str, photograph: Upload) -> dict[str, Any]:
        from jnst.io.image import fit
        from jnst.io.masks import load_mask

        load_mask(path, fit((photograph.height, photograph.width), 768))
        return {"id": self.store.add_image(path, "mask.png", "mask").id}

    async def image_preview(self, request: Any) -> Any:
        """Answers with an image, made smaller.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        upload, side = self.store.image(request.path_params["id"]), _side(request, 768)
        return self._picture(await self._by_thread(self._small_image, upload, side))

    def _small_image(self, upload: Upload, side: int) -> bytes:
        from jnst.io import image
        from jnst.studio.painting import preview

        return preview(image.load(self.store.file_of(upload), image_size=side), side)

    async def delete_image(self, request: Any) -> Any:
        """Takes an image from the page.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        key = request.path_params["id"]
        await asyncio.to_thread(self.store.delete_image, key)
        self.broker.publish("removed", {"id": key})
        return self._json({"id": key})

    # jobs

    async def plan(self, request: Any) -> Any:
        """Answers with what an order would take.

        Args:
            request: with the order.

        Returns:
            The answer.
        """
        return self._json(await asyncio.to_thread(self._plan, await read_json(request)))

    def _plan(self, value: Any) -> dict[str, Any]:
        from jnst.studio import painting

        order = parse_order(value)
        size = painting.size_of(self.store, order.photograph, order.settings.image_size)
        return painting.plan(size, order.settings.config(self.worker.base), self.worker.rate)

    async def add_draft(self, request: Any) -> Any:
        """Begins the draft of an order, in place of the one before.

        Args:
            request: with the order.

        Returns:
            The answer.
        """
        return await self._add_job(request, "draft")

    async def add_job(self, request: Any) -> Any:
        """Queues an order.

        Args:
            request: with the order.

        Returns:
            The answer.
        """
        return await self._add_job(request, "paint")

    async def _add_job(self, request: Any, kind: Any) -> Any:
        order = parse_order(await read_json(request))
        self.store.image(order.photograph)
        for part in order.paintings:
            self.store.image(part.image)
            if part.mask is not None:
                self.store.image(part.mask)
        return await self._submit(Job(kind, order))

    async def add_sheet(self, request: Any) -> Any:
        """Begins a sheet: a photograph in the manner of several paintings.

        Args:
            request: with ids.

        Returns:
            The answer.
        """
        told = await read_json(request)
        told = told if isinstance(told, dict) else {}
        photograph = self.store.image(require_id("photograph", told.get("photograph"))).id
        keys = told.get("paintings")
        if keys == "all":
            keys = [upload.id for upload in self.store.images() if upload.role == "painting"]
        if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_OF_SHEET:
            raise InputError(f"paintings must be all, or a list of 1 to {MOST_OF_SHEET} ids")
        keys = dict.fromkeys(self.store.image(require_id("painting", key)).id for key in keys)
        return await self._submit(Job("sheet", photograph=photograph, paintings=tuple(keys)))

    async def _submit(self, job: Job) -> Any:
        await asyncio.to_thread(self.worker.submit, job)
        return self._json({"job": job.public()}, 202)

    async def stop_job(self, request: Any) -> Any:
        """Stops a job.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        job = await asyncio.to_thread(self.worker.stop, request.path_params["id"])
        return self._json({"job": self._there(job).public()})

    def _there(self, job: Job | None) -> Job:
        if job is None:
            raise MissingError("there is no such job; it may be over: load the page again")
        return job

    async def job_preview(self, request: Any) -> Any:
        """Answers with the newest picture of a job.

        Args:
            request: with its id, and the painting's in a sheet.

        Returns:
            The answer.
        """
        job = self._there(self.worker.job(request.path_params["id"]))
        content = job.previews.get(request.path_params.get("painting", ""))
        if content is None:
            raise MissingError("this job has no picture yet")
        return self.responses.Response(content, media_type="image/webp")

    # results

    async def result_preview(self, request: Any) -> Any:
        """Answers with a result.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        key, side = self.store.result(request.path_params["id"]).id, _side(request, 768)
        return self._picture(await self._by_thread(self._small_result, key, side))

    def _small_result(self, key: str, side: int) -> bytes:
        from jnst.studio.painting import preview

        return preview(self.store.pixels(key), side)

    async def result_before(self, request: Any) -> Any:
        """Answers with the photograph of a result, in its size.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        result, side = self.store.result(request.path_params["id"]), _side(request, 768)
        return self._picture(await self._by_thread(self._before, result, side))

    def _before(self, result: Any, side: int) -> bytes:
        from jnst.io import image
        from jnst.studio.painting import preview

        size = image.fit((result.height, result.width), side)
        path = self.store.file_of(self.store.image(result.photograph))
        return preview(image.load(path, size=size), side)

    async def result_file(self, request: Any) -> Any:
        """Answers with a result as a file, to be kept.

        Args:
            request: with its id, format and profile.

        Returns:
            The answer.
        """
        result = self.store.result(request.path_params["id"])
        format = request.query_params.get("format", "png")
        profile = request.query_params.get("profile", "srgb")
        if format not in FORMATS or profile not in ("srgb", "display-p3"):
            raise InputError(f"format must be one of {', '.join(FORMATS)}, and profile srgb or display-p3")
        content = await self._by_thread(self._result_file, result, format, profile)
        name = f"{result.name}{FORMATS[format]}"
        plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", name)
        headers = {"content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}
        return self.responses.Response(content, media_type="application/octet-stream", headers=headers)

    def _result_file(self, result: Any, format: str, profile: str) -> bytes:
        from jnst.studio import painting

        pixels = self.store.pixels(result.id)
        return painting.finished_file(
            pixels, FORMATS[format], origin=painting.origin_of(self.store, result.photograph, pixels.shape[1:3]),
            recipe=result.recipe, deep=format in ("png16", "tiff"), wide=profile == "display-p3",
        )  # fmt: skip

    async def delete_result(self, request: Any) -> Any:
        """Deletes a result.

        Args:
            request: with its id.

        Returns:
            The answer.
        """
        key = request.path_params["id"]
        await asyncio.to_thread(self.store.delete_result, key)
        self.broker.publish("removed", {"id": key})
        return self._json({"id": key})

    # errors

    async def failed(self, request: Any, error: Exception) -> Any:
        """Answers to what cannot be done.

        Args:
            request: that it was.
            error: of it.

        Returns:
            The answer: one line.
        """
        codes = {MissingError: 404, TooLargeError: 413, StalledError: 408}
        return self._json({"error": self.store.told(error)}, codes.get(type(error), 400))

    async def unknown(self, request: Any, error: Any) -> Any:
        """Answers to addresses and methods that there are not.

        Args:
            request: that it was.
            error: Starlette's.

        Returns:
            The answer: one line.
        """
        return self._json({"error": f"{str(error.detail).lower()}; load the page again"}, error.status_code)


MOST_OF_SHEET = 64


def _side(request: Any, default: int) -> int:
    text = request.query_params.get("size", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 32 <= int(text) <= MOST_SIDE):
        raise InputError(f"size must be a whole number from 32 to {MOST_SIDE}")
    return int(text)


def make_app(studio: Studio, access: Access) -> Guard:
    """Returns the application, guarded.

    Args:
        studio: the handlers.
        access: what opens it.
    """
    route = optional.find("starlette.routing").Route
    addresses = [
        ("/", "GET", studio.index), ("/static/{name}", "GET", studio.static), ("/api/state", "GET", studio.state),
        ("/api/events", "GET", studio.events), ("/api/images", "POST", studio.add_image),
        ("/api/masks", "POST", studio.add_mask), ("/api/images/{id}", "DELETE", studio.delete_image),
        ("/api/images/{id}/preview", "GET", studio.image_preview), ("/api/plan", "POST", studio.plan),
        ("/api/drafts", "POST", studio.add_draft), ("/api/sheets", "POST", studio.add_sheet),
        ("/api/jobs", "POST", studio.add_job), ("/api/jobs/{id}/stop", "POST", studio.stop_job),
        ("/api/jobs/{id}/preview", "GET", studio.job_preview),
        ("/api/jobs/{id}/preview/{painting}", "GET", studio.job_preview),
        ("/api/results/{id}/preview", "GET", studio.result_preview),
        ("/api/results/{id}/before", "GET", studio.result_before),
        ("/api/results/{id}/file", "GET", studio.result_file),
        ("/api/results/{id}", "DELETE", studio.delete_result),
    ]  # fmt: skip
    http_error = optional.find("starlette.exceptions").HTTPException
    app = optional.find("starlette.applications").Starlette(
        routes=[route(path, handler, methods=[method]) for path, method, handler in addresses],
        exception_handlers={InputError: studio.failed, http_error: studio.unknown},
    )
    return Guard(app, access, studio.responses)
