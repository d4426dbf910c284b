"""The main job: train, validate, compare, write down."""
