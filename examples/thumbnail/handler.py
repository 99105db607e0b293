"""Makes a thumbnail: {"image": <base64>, "width": 160} -> {"image": <base64 JPEG>, "width": ..., "height": ...}."""

import base64
import io

from PIL import Image, ImageOps

MAX_WIDTH = 2000


def handler(event, context):
    width = int(event.get("width", 160))
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"width must be from 1 to {MAX_WIDTH}, not {width}")
    source = Image.open(io.BytesIO(base64.b64decode(event["image"])))
    # Photographs often lie on their side, with a note in their EXIF data about which way is up.
    upright = ImageOps.exif_transpose(source).convert("RGB")
    height = max(1, round(upright.height * width / upright.width))
    small = upright.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85, optimize=True)
    print(f"{source.format} {source.width} x {source.height} -> JPEG {width} x {height}, {out.tell()} bytes")
    return {
        "image": base64.b64encode(out.getvalue()).decode(),
        "width": width,
        "height": height,
        "original": {"width": source.width, "height": source.height, "format": source.format},
    }
