"""Rules that call a candidate a positive instead of dropping it: one file each, named as the rule."""
