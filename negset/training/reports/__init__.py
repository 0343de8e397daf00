"""What a training run reports: before and after, group by group, loss by loss, query by query."""
