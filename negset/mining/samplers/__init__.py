"""Rules that choose among the survivors: one file each, named as the rule."""
