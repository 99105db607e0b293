# A bucket with all that projects say of one, through Terraform's AWS provider as it is.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" { type = string }
variable "runtime" { type = string }
variable "days" {
  type    = number
  default = 3
}

provider "aws" {
  region     = "eu-west-1"
  access_key = "000000000000"
  secret_key = "secret"

  skip_metadata_api_check = true
  s3_use_path_style       = true

  endpoints {
    iam = var.endpoint
    s3  = var.endpoint
    sqs = var.endpoint
    sts = var.endpoint
  }
}

resource "aws_s3_bucket" "photos" {
  bucket        = "photos-of-terraform"
  force_destroy = true
  tags          = { team = "photos" }
}

resource "aws_s3_bucket_versioning" "photos" {
  bucket = aws_s3_bucket.photos.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_lifecycle_configuration" "photos" {
  bucket = aws_s3_bucket_versioning.photos.bucket

  rule {
    id     = "old"
    status = "Enabled"
    filter { prefix = "in/" }
    expiration { days = var.days }
    noncurrent_version_expiration { noncurrent_days = 2 }
    abort_incomplete_multipart_upload { days_after_initiation = 1 }
  }

  rule {
    id     = "cold"
    status = "Enabled"
    filter { prefix = "archive/" }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    transition {
      days          = 90
      storage_class = "GLACIER"
    }
    noncurrent_version_transition {
      noncurrent_days           = 30
      newer_noncurrent_versions = 2
      storage_class             = "GLACIER"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "photos" {
  bucket                  = aws_s3_bucket.photos.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "photos" {
  bucket = aws_s3_bucket.photos.id
  rule { object_ownership = "BucketOwnerEnforced" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "photos" {
  bucket = aws_s3_bucket.photos.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}

resource "aws_s3_bucket_cors_configuration" "photos" {
  bucket = aws_s3_bucket.photos.id
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://example.com"]
    allowed_headers = ["*"]
    max_age_seconds = 60
  }
}

resource "aws_s3_bucket_policy" "photos" {
  bucket = aws_s3_bucket.photos.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OtherAccount"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:root" }
      Action    = "s3:GetObject"
      Resource  = "${aws_s3_bucket.photos.arn}/*"
    }]
  })
}

resource "aws_sqs_queue" "uploads" {
  name = "uploads"
}

resource "aws_sqs_queue_policy" "uploads" {
  queue_url = aws_sqs_queue.uploads.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.uploads.arn
      Condition = { ArnLike = { "aws:SourceArn" = aws_s3_bucket.photos.arn } }
    }]
  })
}

resource "aws_s3_bucket_notification" "photos" {
  bucket      = aws_s3_bucket.photos.id
  eventbridge = true

  queue {
    id            = "uploads"
    queue_arn     = aws_sqs_queue.uploads.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "in/"
    filter_suffix = ".jpg"
  }

  depends_on = [aws_sqs_queue_policy.uploads]
}

resource "aws_s3_object" "photo" {
  bucket     = aws_s3_bucket_versioning.photos.bucket
  key        = "in/photo.jpg"
  content    = "a photo"
  depends_on = [aws_s3_bucket_notification.photos]
}

output "queue" { value = aws_sqs_queue.uploads.url }
output "version" { value = aws_s3_object.photo.version_id }
