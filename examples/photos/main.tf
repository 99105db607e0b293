# The job with Terraform: terraform apply -var package=photos.zip

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "package" { type = string }
variable "endpoint" {
  type    = string
  default = "http://127.0.0.1:4566"
}
variable "runtime" {
  type    = string
  default = "python3.13"
}

# At AWS, without all of this.
provider "aws" {
  region                  = "us-east-1"
  access_key              = "000000000000"
  secret_key              = "any"
  skip_metadata_api_check = true
  s3_use_path_style       = true
  endpoints {
    iam    = var.endpoint
    lambda = var.endpoint
    s3     = var.endpoint
    sqs    = var.endpoint
    sts    = var.endpoint
  }
}

resource "aws_s3_bucket" "photos" {
  bucket        = "photos"
  force_destroy = true
}

resource "aws_s3_bucket" "thumbnails" {
  bucket        = "thumbnails"
  force_destroy = true
}

resource "aws_sqs_queue" "done" {
  name                       = "thumbnails-done"
  visibility_timeout_seconds = 60
}

resource "aws_iam_role" "photos" {
  name = "photos"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "photos" {
  role = aws_iam_role.photos.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "s3:GetObject", Resource = "${aws_s3_bucket.photos.arn}/*" },
      { Effect = "Allow", Action = "s3:PutObject", Resource = "${aws_s3_bucket.thumbnails.arn}/*" },
      { Effect = "Allow", Action = "sqs:*", Resource = aws_sqs_queue.done.arn },
      { Effect = "Allow", Action = "logs:*", Resource = "*" },
    ]
  })
}

resource "aws_lambda_function" "photos" {
  for_each         = { thumbnails = 512, gallery = 128 }
  function_name    = each.key
  runtime          = var.runtime
  handler          = "${each.key}.handler"
  role             = aws_iam_role.photos.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  memory_size      = each.value
  timeout          = 10
  environment {
    variables = {
      THUMBNAILS = aws_s3_bucket.thumbnails.bucket
      DONE       = aws_sqs_queue.done.name
    }
  }
}

resource "aws_lambda_event_source_mapping" "done" {
  function_name           = aws_lambda_function.photos["gallery"].arn
  event_source_arn        = aws_sqs_queue.done.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
}

resource "aws_lambda_permission" "uploads" {
  function_name = aws_lambda_function.photos["thumbnails"].function_name
  action        = "lambda:InvokeFunction"
  principal     = "s3.amazonaws.com"
  source_arn    = aws_s3_bucket.photos.arn
}

resource "aws_s3_bucket_notification" "uploads" {
  bucket = aws_s3_bucket.photos.id
  lambda_function {
    lambda_function_arn = aws_lambda_function.photos["thumbnails"].arn
    events              = ["s3:ObjectCreated:*"]
    filter_suffix       = ".jpg"
  }
  depends_on = [aws_lambda_permission.uploads]
}
