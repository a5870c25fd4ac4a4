# -----------------------------------------------------------------------------
variable "namespace" {
  default = "Trail"
}
variable "topic" {}
locals {
  prefix  = "${var.namespace}-"
  pattern = join(" || ", ["($.eventName = StopLogging)", "($.eventName = DeleteTrail)"])
}

resource "aws_cloudwatch_log_metric_filter" "trail" {
  name           = "${local.prefix}changes"
  log_group_name = aws_cloudwatch_log_group.trail.name
  pattern        = "{ ${local.pattern} }"

  metric_transformation {
    name      = "TrailEvents"
    namespace = var.namespace
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "trail" {
  alarm_name          = "CloudTrail changes"
  alarm_description   = "Somebody changed the trail."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 1
  metric_name         = aws_cloudwatch_log_metric_filter.trail.metric_transformation[0].name
  namespace           = aws_cloudwatch_log_metric_filter.trail.metric_transformation[0].namespace
  period              = 300
  statistic           = "Sum"
  threshold           = "2"
  alarm_actions       = [var.topic, "arn:aws:sns:us-east-1:123456789012:a"]
}

resource "aws_cloudwatch_metric_alarm" "unknown" {
  alarm_name          = "Unknown"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 1
  metric_name         = module.other.metric
  namespace           = var.namespace
  period              = 300
  statistic           = "Sum"
  threshold           = var.limit
}

resource "aws_cloudwatch_log_metric_filter" "each" {
  for_each = toset(["a"])
  name     = each.key
  pattern  = "x"
}

resource "aws_cloudwatch_log_metric_filter" "root" {
  name    = "root"
  pattern = <<-EOT
    { $.userIdentity.type = "Root"
      && $.userIdentity.invokedBy NOT EXISTS }
  EOT
  metric_transformation {
    name      = "Root"
    namespace = "Trail"
    value     = 1
  }
}
