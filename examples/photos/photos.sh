#!/bin/sh
# The job with the AWS CLI: sh photos.sh PACKAGE PHOTO
set -eu
package=$1 photo=$2 name=$(basename "$2")
runtime=${RUNTIME:-python3.13}
account=$(aws sts get-caller-identity --query Account --output text)
# Version 1 of the AWS CLI does not heed AWS_ENDPOINT_URL for SQS.
sqs() { aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} sqs "$@"; }

aws s3 mb s3://photos
aws s3 mb s3://thumbnails
queue=$(sqs create-queue --queue-name thumbnails-done --attributes VisibilityTimeout=60 --query QueueUrl --output text)
queue_arn=$(sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn \
    --query Attributes.QueueArn --output text)

for function in thumbnails gallery; do
    aws lambda create-function --function-name $function --runtime "$runtime" --handler $function.handler \
        --role "arn:aws:iam::$account:role/photos" --zip-file "fileb://$package" --memory-size 512 --timeout 10 \
        --environment "Variables={THUMBNAILS=thumbnails,DONE=thumbnails-done}" \
        --query FunctionArn --output text
    aws lambda wait function-active-v2 --function-name $function
done
aws lambda create-event-source-mapping --function-name gallery --event-source-arn "$queue_arn" --batch-size 10 \
    --function-response-types ReportBatchItemFailures --query UUID --output text

aws lambda add-permission --function-name thumbnails --statement-id uploads --action lambda:InvokeFunction \
    --principal s3.amazonaws.com --source-arn arn:aws:s3:::photos --source-account "$account" --output text
arn=$(aws lambda get-function --function-name thumbnails --query Configuration.FunctionArn --output text)
aws s3api put-bucket-notification-configuration --bucket photos --notification-configuration '{
    "LambdaFunctionConfigurations": [{
        "LambdaFunctionArn": "'"$arn"'",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}}
    }]
}'

aws s3 cp "$photo" "s3://photos/$name"
aws s3api wait object-exists --bucket thumbnails --key "gallery/$name.json"
aws s3 cp "s3://thumbnails/$name" "thumbnail-$name"
aws s3 ls --recursive s3://thumbnails
