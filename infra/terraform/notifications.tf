# Notifications of new log entries: bucket -> SQS, with dead letters, and what the service's role needs. terraform plan -var bucket=… -var role=…
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "bucket" {
  type        = string
  description = "The bucket that holds the tables. Its notifications are replaced as a whole."
}

variable "role" {
  type        = string
  description = "Name of the service's role."
}

resource "aws_sqs_queue" "dead" {
  name                      = "compactor-log-entries-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "entries" {
  name                       = "compactor-log-entries"
  visibility_timeout_seconds = 120
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 5
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 5
  })
}

data "aws_caller_identity" "here" {}

data "aws_iam_policy_document" "from_bucket" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.entries.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:aws:s3:::${var.bucket}"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.here.account_id]
    }
  }
}

resource "aws_sqs_queue_policy" "entries" {
  queue_url = aws_sqs_queue.entries.id
  policy    = data.aws_iam_policy_document.from_bucket.json
}

resource "aws_s3_bucket_notification" "entries" {
  bucket     = var.bucket
  depends_on = [aws_sqs_queue_policy.entries]
  queue {
    queue_arn     = aws_sqs_queue.entries.arn
    events        = ["s3:ObjectCreated:*"]
    filter_suffix = ".json" # log entries, and little else
  }
}

data "aws_iam_policy_document" "service" {
  statement {
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = [aws_sqs_queue.entries.arn]
  }
}

resource "aws_iam_role_policy" "service" {
  name   = "compactor-log-entries"
  role   = var.role
  policy = data.aws_iam_policy_document.service.json
}

output "queue_url" {
  value = aws_sqs_queue.entries.url
}
