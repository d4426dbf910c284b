"""Who decides: handcrafted schedulers, learned policies, evaluation, reports."""
