"""Rules that weigh negatives: one file each, named as the rule."""
