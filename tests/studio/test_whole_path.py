"""The whole path on small pictures, over HTTP: drop, draft, sheet, paint, stop, download, drop back, begin again."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from studio_helpers import mask_half, png, serve, until

from jnst.cli.main import main
from jnst.io import optional
from jnst.io.recipe import read_recipe

LONG = 4096  # iterations, no picture of these tests has as many


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """That all tests here share, one after the other."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def client(folder, vgg16):
    with serve(folder, load=lambda: vgg16) as client:
        client.photograph = client.upload(png(), "my cat.png", "photograph")[1]["image"]["id"]
        painting = png(size=(64, 64), example="swirls.jpg")
        client.painting = client.upload(painting, "swirls.png", "painting")[1]["image"]["id"]
        yield client


def order(client, **settings):
    return {"photograph": client.photograph, "paintings": [{"image": client.painting}],
            "settings": {"quality": "draft", "image_size": 72, **settings}}  # fmt: skip


def paint(client, **settings):
    status, told = client.ask("POST", "/api/jobs", order(client, **settings))
    assert status == 202
    job = client.wait(told["job"]["id"], "done", "failed")
    assert job["state"] == "done", job["error"]
    return client.ask("GET", "/api/state")[1]["results"][-1]


def test_a_draft_is_painted_and_shown(client):
    status, told = client.ask("POST", "/api/drafts", order(client))
    assert (status, told["job"]["kind"], told["job"]["request"]["photograph"]) == (202, "draft", client.photograph)
    job = client.wait(told["job"]["id"], "done", "failed")
    assert (job["state"], job["progress"], job["iteration"], job["result"]) == ("done", 1.0, 30, None)
    assert (job["width"], job["height"]) == (72, 48)
    assert job["losses"][0][1] > job["losses"][-1][1]
    status, content = client.ask("GET", f"/api/jobs/{job['id']}/preview?version={job['version']}")
    with Image.open(io.BytesIO(content)) as shown:
        assert (status, shown.format, shown.size) == (200, "WEBP", (72, 48))


def test_a_plan_knows_how_long_it_takes_here(client):
    status, told = client.ask("POST", "/api/plan", order(client, image_size=4096, quality="fine"))
    assert status == 200
    assert (told["width"], told["height"], told["fits"]) == (72, 48, True)
    assert told["seconds"] > 0
    assert told["memory_bytes"] > 0


def test_a_sheet_shows_all_paintings(client):
    second = client.upload(png(size=(64, 64), example="facets.jpg"), "facets.png", "painting")[1]["image"]["id"]
    asked = {"photograph": client.photograph, "paintings": [client.painting, second]}
    status, told = client.ask("POST", "/api/sheets", asked)
    assert (status, [part["painting"] for part in told["job"]["sheet"]]) == (202, [client.painting, second])
    job = client.wait(told["job"]["id"], "done", "failed")
    assert job["state"] == "done", job["error"]
    contents = [client.ask("GET", f"/api/jobs/{job['id']}/preview/{part['painting']}")[1] for part in job["sheet"]]
    assert all(part["version"] for part in job["sheet"])
    assert contents[0] != contents[1]
    with Image.open(io.BytesIO(contents[0])) as shown:
        assert shown.size == (72, 48)
    assert client.ask("POST", "/api/sheets", {**asked, "paintings": [client.painting, "x"]})[0] == 400


def test_a_picture_comes_back_with_its_settings(client, tmp_path):
    asked = {"strength": 1.35, "stroke": 0.75, "colors": "photograph", "seed": 3, "quality": "draft", "image_size": 64,
             "format": "png"}  # fmt: skip
    result = paint(client, **asked)
    assert (result["name"], result["settings"]) == ("my cat-swirls", asked)
    assert (result["width"], result["height"]) == (64, 43)
    answer = client.open("GET", f"/api/results/{result['id']}/file?format=png")
    content = answer.read()
    assert answer.headers["content-disposition"].startswith('attachment; filename="my cat-swirls.png"')
    status, told = client.upload(content, "anything.png", "photograph")
    assert (status, told["image"]["role"]) == (201, "result")
    assert told["recipe"] == {"settings": asked, "photograph": client.photograph, "paintings": [client.painting],
                              "names": {"photograph": "my cat.png", "paintings": ["swirls.png"]}}  # fmt: skip
    (tmp_path / "out.png").write_bytes(content)
    assert str(client.studio.worker.store.folder) not in json.dumps(read_recipe(tmp_path / "out.png").text())


def test_the_command_line_paints_it_again(client, tmp_path, capsys):
    """By the recipe, with the layers that this server has."""
    result = paint(client, strength=0.8, stroke=0.75)
    (tmp_path / "out.png").write_bytes(client.ask("GET", f"/api/results/{result['id']}/file")[1])
    (tmp_path / "my cat.png").write_bytes(png())
    (tmp_path / "swirls.png").write_bytes(png(size=(64, 64), example="swirls.jpg"))
    assert main(["replay", str(tmp_path / "out.png"), "--no-compilation-cache"]) == 0
    assert "its pixels are identical" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["png", "jpeg", "png16", "tiff"])
@pytest.mark.parametrize("profile", ["srgb", "display-p3"])
def test_a_picture_is_downloaded_in_every_format(client, tmp_path, format, profile):
    if (format in ("png16", "tiff") or profile != "srgb") and optional.find("imagecodecs") is None:
        pytest.skip("imagecodecs is not installed")
    results = client.ask("GET", "/api/state")[1]["results"]
    key = results[-1]["id"] if results else paint(client)["id"]
    status, content = client.ask("GET", f"/api/results/{key}/file?format={format}&profile={profile}")
    assert status == 200
    path = tmp_path / ("out" + {"png": ".png", "jpeg": ".jpg", "png16": ".png", "tiff": ".tif"}[format])
    path.write_bytes(content)
    assert read_recipe(path).inputs["content"][0].name == "my cat.png"
    with Image.open(path) as opened:
        assert (b"Display P3" in opened.info["icc_profile"]) == (profile == "display-p3")
    if format == "png16":
        assert content[24] == 16
    plain = client.ask("GET", f"/api/results/{key}/preview?size=72")[1]
    (tmp_path / "plain.webp").write_bytes(plain)
    from jnst.io import image

    assert np.abs(image.load(path) - image.load(tmp_path / "plain.webp")).mean() < 0.03  # whatever the profile
    for wrong in ("format=exe", "format=../png", "profile=x"):
        assert client.ask("GET", f"/api/results/{key}/file?{wrong}")[0] == 400


def test_before_and_after_have_one_size(client):
    results = client.ask("GET", "/api/state")[1]["results"]
    key = results[-1]["id"] if results else paint(client)["id"]
    sizes = []
    for which in ("before", "preview"):
        with Image.open(io.BytesIO(client.ask("GET", f"/api/results/{key}/{which}?size=4096")[1])) as shown:
            sizes.append(shown.size)
    assert sizes[0] == sizes[1]


@pytest.mark.thorough
def test_masks_and_weights_are_kept_in_the_recipe(client, tmp_path, capsys):
    status, told = client.ask("POST", f"/api/masks?image={client.photograph}", mask_half())
    assert status == 201
    second = client.upload(png(size=(64, 64), example="facets.jpg"), "facets.png", "painting")[1]["image"]["id"]
    asked = order(client)
    asked["paintings"] = [{"image": client.painting, "mask": told["id"], "weight": 3}, {"image": second}]
    job = client.ask("POST", "/api/jobs", asked)[1]["job"]
    job = client.wait(job["id"], "done", "failed")
    assert job["state"] == "done", job["error"]
    (tmp_path / "out.png").write_bytes(client.ask("GET", f"/api/results/{job['result']}/file")[1])
    recipe = read_recipe(tmp_path / "out.png")
    assert [file.name for file in recipe.inputs["content_masks"]] == ["mask.png", "all"]
    assert recipe.options["style_blend_weights"] == [1.5, 0.5]
    (tmp_path / "my cat.png").write_bytes(png())
    (tmp_path / "swirls.png").write_bytes(png(size=(64, 64), example="swirls.jpg"))
    (tmp_path / "facets.png").write_bytes(png(size=(64, 64), example="facets.jpg"))
    (tmp_path / "mask.png").write_bytes(mask_half())
    assert main(["replay", str(tmp_path / "out.png"), "--no-compilation-cache"]) == 0
    assert "its pixels are identical" in capsys.readouterr().out


def test_stop_keeps_the_best_and_events_tell_of_it(client, monkeypatch):
    from jnst.studio.settings import QUALITIES

    monkeypatch.setitem(QUALITIES, "fine", LONG)
    number = client.ask("GET", "/api/state")[1]["event"]
    key = client.ask("POST", "/api/jobs", order(client, quality="fine"))[1]["job"]["id"]
    until(lambda: client.job(key)["version"])
    draft = client.ask("POST", "/api/drafts", order(client, strength=0.5))[1]["job"]["id"]
    assert client.wait(draft, "done", "failed")["state"] == "done"  # while the other is at work
    assert client.job(key)["state"] == "working"
    assert client.ask("POST", f"/api/jobs/{key}/stop")[0] == 200
    job = client.wait(key, "stopped", "failed")
    assert job["iteration"] < LONG
    result = client.ask("GET", "/api/state")[1]["results"][-1]
    assert result["id"] == job["result"]
    answer = client.open("GET", f"/api/events?after={number}")
    seen = []
    while seen[-2:-1] != ["event: result"]:
        seen.append(answer.fp.readline().decode().strip())
    assert json.loads(seen[-1].removeprefix("data: "))["id"] == result["id"]
    answer.close()


def test_a_restart_keeps_results_and_queue(client, folder, vgg16, monkeypatch, tmp_path):
    from jnst.studio.settings import QUALITIES

    monkeypatch.setitem(QUALITIES, "fine", LONG)
    with serve(tmp_path, load=lambda: vgg16) as first:
        first.photograph = first.upload(png(), "a.png", "photograph")[1]["image"]["id"]
        first.painting = first.upload(png(seed=4), "b.png", "painting")[1]["image"]["id"]
        done = paint(first)
        keys = [first.ask("POST", "/api/jobs", order(first, quality=q))[1]["job"]["id"] for q in ("fine", "draft")]
        reached = until(lambda: first.job(keys[0])["iteration"])
    with serve(tmp_path, load=lambda: vgg16) as second:
        state = second.ask("GET", "/api/state")[1]
        assert [result["id"] for result in state["results"]] == [done["id"]]
        assert [job["id"] for job in state["jobs"]] == keys
        assert {image["name"] for image in state["images"]} == {"a.png", "b.png"}
        until(lambda: second.job(keys[0])["iteration"] > 0)
        assert second.job(keys[0])["iteration"] >= reached  # where it was, not at the beginning
        second.ask("POST", f"/api/jobs/{keys[0]}/stop")
        second.wait(keys[1], "done")
        assert len(second.ask("GET", "/api/state")[1]["results"]) == 3
        assert second.ask("DELETE", f"/api/results/{done['id']}")[0] == 200
        assert len(second.ask("GET", "/api/state")[1]["results"]) == 2
    assert not list((tmp_path / "jobs").iterdir())
