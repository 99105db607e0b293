"""The job with boto3: python photos.py PACKAGE PHOTO...

Makes what is not there yet, uploads the photographs, and waits until each is in the gallery.
"""

import os
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

RUNTIME = os.environ.get("RUNTIME", f"python3.{sys.version_info.minor}")
PHOTOS, THUMBNAILS, DONE = "photos", "thumbnails", "thumbnails-done"

s3, sqs, functions = boto3.client("s3"), boto3.client("sqs"), boto3.client("lambda")
account = boto3.client("sts").get_caller_identity()["Account"]


def set_up(package):
    for bucket in (PHOTOS, THUMBNAILS):
        s3.create_bucket(Bucket=bucket)
    # A message that is under way is seen by nobody else for six times as long as its function may take.
    queue = sqs.create_queue(QueueName=DONE, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    thumbnails_arn = create("thumbnails", package, memory=512)
    create("gallery", package, memory=128)
    functions.create_event_source_mapping(
        FunctionName="gallery",
        EventSourceArn=queue_arn,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    functions.add_permission(
        FunctionName="thumbnails",
        StatementId="uploads",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{PHOTOS}",
        SourceAccount=account,
    )
    s3.put_bucket_notification_configuration(
        Bucket=PHOTOS,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": thumbnails_arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}},
                }
            ]
        },
    )


def create(name, package, memory):
    created = functions.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Handler=f"{name}.handler",
        Role=f"arn:aws:iam::{account}:role/photos",
        Code={"ZipFile": package},
        MemorySize=memory,
        Timeout=10,
        Environment={"Variables": {"THUMBNAILS": THUMBNAILS, "DONE": DONE}},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return created["FunctionArn"]


def there(bucket, key):
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return False
    return True


def main(package, *photos):
    try:
        functions.get_function(FunctionName="gallery")
    except functions.exceptions.ResourceNotFoundException:
        set_up(Path(package).read_bytes())
    for photo in map(Path, photos):
        s3.upload_file(str(photo), PHOTOS, photo.name)
        begun = time.monotonic()
        while not there(THUMBNAILS, f"gallery/{photo.name}.json"):
            if time.monotonic() - begun > 60:
                sys.exit(f"{photo.name} is not in the gallery after a minute")
            time.sleep(0.05)
        print(f"{photo.name}: in the gallery after {time.monotonic() - begun:.2f} s")
        s3.download_file(THUMBNAILS, photo.name, f"thumbnail-{photo.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
