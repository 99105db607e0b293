"""A FastAPI service behind a function URL: checked JSON, an OpenAPI document, a picture. Mangum turns events into ASGI."""

import struct
import zlib

from fastapi import Cookie, FastAPI, HTTPException, Response
from mangum import Mangum
from pydantic import BaseModel, Field

app = FastAPI(title="Orders")
orders: dict[int, "Order"] = {}


class Order(BaseModel):
    item: str = Field(min_length=1)
    quantity: int = Field(gt=0)


@app.post("/orders", status_code=201)
def place(order: Order, response: Response) -> dict[str, int]:
    number = len(orders) + 1
    orders[number] = order
    response.set_cookie("order", str(number), path="/")
    return {"number": number}


@app.get("/orders/mine")
def mine(order: int | None = Cookie(default=None)) -> Order:
    # In the memory of one environment: another one knows nothing of it. Keep what must last in a database.
    if order not in orders:
        raise HTTPException(404, "no order yet")
    return orders[order]


@app.get("/dot.png")
def dot() -> Response:
    """One red pixel."""
    return Response(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
        + _chunk(b"IEND", b""),
        media_type="image/png",
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


handler = Mangum(app, lifespan="off")
