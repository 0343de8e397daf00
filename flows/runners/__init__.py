"""Who works on the parts of a build: the engines behind `runner.kind`, and what all of them share."""
