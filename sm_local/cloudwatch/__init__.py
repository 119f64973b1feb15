"""CloudWatch's metrics and alarms, as CloudWatch evaluates them, over MiniStack's stores."""
