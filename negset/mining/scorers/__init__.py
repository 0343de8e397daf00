"""Rules that add a score column: one file each, named as the rule."""
