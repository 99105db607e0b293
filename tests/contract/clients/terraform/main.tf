# Everything that a small serverless project has, through Terraform's AWS provider as it is.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" { type = string }
variable "runtime" { type = string }
variable "timeout" {
  type    = number
  default = 5
}
variable "weight" {
  type    = number
  default = 0.25
}
variable "retries" {
  type    = number
  default = 1
}
variable "batch_size" {
  type    = number
  default = 5
}

provider "aws" {
  region     = "eu-west-1"
  access_key = "000000000000"
  secret_key = "secret"

  skip_metadata_api_check = true

  endpoints {
    iam    = var.endpoint
    lambda = var.endpoint
    logs   = var.endpoint
    sqs    = var.endpoint
    sts    = var.endpoint
  }

  default_tags {
    tags = { project = "photos" }
  }
}

data "aws_caller_identity" "me" {}

resource "aws_iam_role" "function" {
  name = "thumbnails"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_sqs_queue" "photos" {
  name                       = "photos"
  visibility_timeout_seconds = 120
}

resource "aws_sqs_queue" "failed" {
  name = "failed"
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/thumbnails"
  retention_in_days = 7
}

resource "aws_lambda_layer_version" "shared" {
  layer_name          = "shared"
  filename            = "${path.module}/layer.zip"
  source_code_hash    = filebase64sha256("${path.module}/layer.zip")
  compatible_runtimes = [var.runtime]
  description         = "helpers"
}

resource "aws_lambda_layer_version_permission" "other" {
  layer_name     = aws_lambda_layer_version.shared.layer_name
  version_number = aws_lambda_layer_version.shared.version
  statement_id   = "other"
  action         = "lambda:GetLayerVersion"
  principal      = "111122223333"
}

resource "aws_lambda_function" "thumbnails" {
  function_name    = "thumbnails"
  description      = "makes photos small"
  role             = aws_iam_role.function.arn
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  handler          = "app.handler"
  runtime          = var.runtime
  timeout          = var.timeout
  memory_size      = 256
  publish          = true
  layers           = [aws_lambda_layer_version.shared.arn]
  depends_on       = [aws_cloudwatch_log_group.function, aws_iam_role_policy_attachment.logs]

  reserved_concurrent_executions = 10

  environment {
    variables = { STAGE = "test" }
  }

  ephemeral_storage {
    size = 600
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.failed.arn
  }

  tags = { team = "pictures" }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.thumbnails.function_name
  function_version = aws_lambda_function.thumbnails.version
}

# The first version stays while the newest changes: an alias may split between them.
resource "aws_lambda_alias" "canary" {
  name             = "canary"
  function_name    = aws_lambda_function.thumbnails.function_name
  function_version = "1"

  dynamic "routing_config" {
    for_each = aws_lambda_function.thumbnails.version == "1" ? [] : [var.weight]
    content {
      additional_version_weights = { (aws_lambda_function.thumbnails.version) = routing_config.value }
    }
  }
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  function_name                     = aws_lambda_function.thumbnails.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = 1
}

resource "aws_lambda_permission" "s3" {
  statement_id   = "s3"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.thumbnails.function_name
  qualifier      = aws_lambda_alias.live.name
  principal      = "s3.amazonaws.com"
  source_arn     = "arn:aws:s3:::uploads"
  source_account = data.aws_caller_identity.me.account_id
}

resource "aws_lambda_permission" "url" {
  statement_id           = "url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.thumbnails.function_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_function_url" "public" {
  function_name      = aws_lambda_function.thumbnails.function_name
  authorization_type = "NONE"

  cors {
    allow_origins = ["https://example.org"]
    allow_methods = ["GET", "POST"]
    max_age       = 600
  }
}

resource "aws_lambda_function_event_invoke_config" "live" {
  function_name                = aws_lambda_function.thumbnails.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = var.retries
  maximum_event_age_in_seconds = 600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failed.arn
    }
  }
}

resource "aws_lambda_event_source_mapping" "photos" {
  event_source_arn = aws_sqs_queue.photos.arn
  function_name    = aws_lambda_alias.live.arn
  batch_size       = var.batch_size
  enabled          = true

  function_response_types = ["ReportBatchItemFailures"]

  filter_criteria {
    filter {
      pattern = jsonencode({ body = { kind = ["photo"] } })
    }
  }

  scaling_config {
    maximum_concurrency = 4
  }
}

data "aws_lambda_function" "thumbnails" {
  function_name = aws_lambda_function.thumbnails.function_name
  depends_on    = [aws_lambda_alias.live]
}

data "aws_lambda_invocation" "hello" {
  function_name = aws_lambda_function.thumbnails.function_name
  qualifier     = aws_lambda_alias.live.name
  input         = jsonencode({ name = "Terraform" })
}

output "reply" {
  value = jsondecode(data.aws_lambda_invocation.hello.result)
}

output "version" {
  value = aws_lambda_function.thumbnails.version
}

output "url" {
  value = aws_lambda_function_url.public.function_url
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}
