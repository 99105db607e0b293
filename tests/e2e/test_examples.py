"""The web applications of examples/: deployed as a user does it, then used by a browser from another origin."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lambent.testing.running_server import Server
from tests.e2e import browser
from tests.e2e.packages import create_function

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "lambent")
LIMIT_S = 120
SHOP = """
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": PAGE}
"""
PAGE = """<!doctype html><meta charset="utf-8"><title>shop</title><pre id="result"></pre><script>
async function refused(work) { try { await work(); return "answered" } catch (error) { return error.name } }
async function run() {
  const seen = {}
  const visit = async () => /visit \\d+|Welcome[.]/.exec(await (await fetch(FLASK, {credentials: "include"})).text())[0]
  seen.visits = [await visit(), await visit(), await visit()]
  const form = new FormData()
  form.append("note", "größe")
  form.append("file", new File([new Uint8Array([0, 255, 10, 13])], "four.bin"))
  const upload = await fetch(FLASK + "fingerprints", {method: "POST", body: form, headers: {"x-asked": "1"}})
  seen.upload = [upload.status, await upload.json()]
  const download = await fetch(FLASK + "bytes/70000")
  const bytes = new Uint8Array(await download.arrayBuffer())
  seen.download = [bytes.length, bytes[0], bytes[255], bytes[256], download.headers.get("content-disposition")]
  const send = (order) => fetch(FASTAPI + "orders", {method: "POST", credentials: "include",
      headers: {"content-type": "application/json"}, body: JSON.stringify(order)})
  const placed = await send({item: "tea", quantity: 2})
  seen.placed = [placed.status, await placed.json()]
  seen.wrong = (await send({item: "tea", quantity: 0})).status
  seen.mine = await (await fetch(FASTAPI + "orders/mine", {credentials: "include"})).json()
  const picture = await createImageBitmap(await (await fetch(FASTAPI + "dot.png")).blob())
  seen.picture = [picture.width, picture.height]
  seen.header = await refused(() => fetch(FASTAPI + "orders/mine", {headers: {"x-asked": "1"}}))
  seen.method = await refused(() => fetch(FASTAPI + "orders/mine", {method: "DELETE"}))
  return seen
}
run().catch(error => ({failed: String(error)})).then(
  seen => document.getElementById("result").textContent = JSON.stringify(seen))
</script>"""


@pytest.fixture(scope="module")
def urls(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the two examples, by name."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LAMBENT_", "AWS_"))}
    cache = tmp_path_factory.mktemp("cache")
    variables |= {"LAMBENT_ENDPOINT": server.url, "XDG_CACHE_HOME": str(cache)}
    deploying = {
        name: subprocess.Popen(
            [COMMAND, "deploy", str(ROOT / "examples" / name), "--memory", "512", "--timeout", "20", "--url"],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("flask", "fastapi")
    }
    said = {name: process.communicate(timeout=LIMIT_S)[0] for name, process in deploying.items()}
    if any(process.returncode for process in deploying.values()):
        if os.environ.get("CI") == "true" or not all("pip" in each for each in said.values()):
            pytest.fail(str(said))
        pytest.skip(f"no packages from the registry: {said}")
    client = server.client("lambda")
    return {name: client.get_function_url_config(FunctionName=name)["FunctionUrl"] for name in deploying}


def test_a_page_of_another_origin_uses_both(server: Server, urls: dict[str, str], tmp_path: Path) -> None:
    client = server.client("lambda")
    source = PAGE.replace("FLASK", repr(urls["flask"])).replace("FASTAPI", repr(urls["fastapi"]))
    create_function(client, "shop", f"PAGE = {source!r}\n{SHOP}")
    shop = public_url(client, "shop")
    for name, headers in (("flask", ["x-asked"]), ("fastapi", ["content-type"])):
        cors = {
            "AllowOrigins": [shop.rstrip("/")],
            "AllowCredentials": True,
            "AllowMethods": ["GET", "POST"],
            "AllowHeaders": headers,
            "ExposeHeaders": ["content-disposition"],
        }
        client.update_function_url_config(FunctionName=name, Cors=cors)
    assert browser.result(browser.page(tmp_path, shop)) == {
        "visits": ["Welcome.", "visit 2", "visit 3"],
        "upload": [
            201,
            {
                "name": "four.bin",
                "note": "größe",
                "bytes": 4,
                "sha256": "f474676c75e488e84e18f37502e7fc3e7b8850471fae5251290ff6cc4c8843bc",
            },
        ],
        "download": [70_000, 0, 255, 0, "attachment; filename=bytes.bin"],
        "placed": [201, {"number": 1}],
        "wrong": 422,
        "mine": {"item": "tea", "quantity": 2},
        "picture": [1, 1],
        # What the Cors of the URL does not name, the browser does not even send.
        "header": "TypeError",
        "method": "TypeError",
    }


def public_url(client: Any, function: str) -> str:
    url: str = client.create_function_url_config(FunctionName=function, AuthType="NONE")["FunctionUrl"]
    everybody = {"FunctionName": function, "Principal": "*"}
    client.add_permission(StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **everybody)
    client.add_permission(StatementId="call", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **everybody)
    return url


def test_the_path_form_serves_them_too(server: Server, urls: dict[str, str]) -> None:
    url_id = str(urlsplit(urls["flask"]).hostname).partition(".")[0]
    with urllib.request.urlopen(f"{server.url}/_lambda-url/{url_id}/", timeout=30) as reply:
        assert "<h1>Fingerprints</h1>" in reply.read().decode()
        assert reply.headers.get_all("set-cookie")[0].startswith("visits=1;")
