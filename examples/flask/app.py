"""A Flask site behind a function URL: pages, a form with a file, cookies, a download. apig-wsgi turns events into WSGI."""

import hashlib
import io

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, make_response, render_template_string, request, send_file

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024

PAGE = """<!doctype html>
<title>Fingerprints</title>
<h1>Fingerprints</h1>
<p>{{ "Welcome back, visit %d." % visits if visits > 1 else "Welcome." }}</p>
<form method="post" action="fingerprints" enctype="multipart/form-data">
  <input name="note" placeholder="note"> <input type="file" name="file" required> <button>Fingerprint it</button>
</form>
"""


@app.get("/")
def page() -> Response:
    visits = int(request.cookies.get("visits", 0)) + 1
    response = make_response(render_template_string(PAGE, visits=visits))
    response.set_cookie("visits", str(visits), httponly=True, samesite="Lax")
    response.set_cookie("last", request.headers.get("User-Agent", "")[:20])
    return response


@app.post("/fingerprints")
def fingerprint() -> Response:
    file = request.files["file"]
    content = file.read()
    found = {"name": file.filename, "note": request.form.get("note", ""), "bytes": len(content)}
    return make_response({**found, "sha256": hashlib.sha256(content).hexdigest()}, 201)


@app.get("/bytes/<int:count>")
def download(count: int) -> Response:
    content = bytes(number % 256 for number in range(min(count, 1_000_000)))
    return send_file(io.BytesIO(content), "application/octet-stream", as_attachment=True, download_name="bytes.bin")


handler = make_lambda_handler(app)
