"""Rules that mark candidates as unsafe: one file each, named as the rule and as its reason."""
