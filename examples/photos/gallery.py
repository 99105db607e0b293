"""Enters each finished thumbnail in the gallery. A message that fails comes again; the others of its batch do not."""

import json
import os

import boto3

s3 = boto3.client("s3")


def handler(event, context):
    failed = []
    for message in event["Records"]:
        try:
            enter(json.loads(message["body"]))
        except Exception as error:
            print(f"{message['messageId']}: {error}")
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def enter(done):
    # A message may come more than once: to write the same entry again does no harm.
    entry = json.dumps({"thumbnail": done["photo"], "width": done["to"][0], "height": done["to"][1]})
    key = f"gallery/{done['photo']}.json"
    s3.put_object(Bucket=os.environ["THUMBNAILS"], Key=key, Body=entry, ContentType="application/json")
    print(f"{done['photo']} is in the gallery")
