"""What a round of training does: data, partitions, models, local steps, aggregation."""
