"""Who decides, and how well."""
