"""For each photograph that is uploaded: a thumbnail into another bucket, and a message to those who wait for it."""

import io
import json
import os
from urllib.parse import unquote_plus

import boto3
from PIL import Image, ImageOps

WIDTH = 160

s3 = boto3.client("s3")
sqs = boto3.client("sqs")
queue = sqs.get_queue_url(QueueName=os.environ["DONE"])["QueueUrl"]


def handler(event, context):
    for record in event["Records"]:
        # Keys are url-encoded in events: "my photo.jpg" comes as "my+photo.jpg".
        make(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))


def make(bucket, key):
    photo = Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    # Photographs often lie on their side, with a note in their EXIF data about which way is up.
    upright = ImageOps.exif_transpose(photo).convert("RGB")
    height = max(1, round(upright.height * WIDTH / upright.width))
    out = io.BytesIO()
    upright.resize((WIDTH, height), Image.Resampling.LANCZOS).save(out, "JPEG", quality=85, optimize=True)
    s3.put_object(Bucket=os.environ["THUMBNAILS"], Key=key, Body=out.getvalue(), ContentType="image/jpeg")
    sizes = {"from": [upright.width, upright.height], "to": [WIDTH, height], "bytes": out.tell()}
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"photo": key, **sizes}))
    print(f"{key}: {upright.width} x {upright.height} -> {WIDTH} x {height}, {out.tell()} bytes")
