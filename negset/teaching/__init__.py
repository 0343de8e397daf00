"""Teachers: what scores pairs beyond the miners, and how the candidates of a build are put to it."""
