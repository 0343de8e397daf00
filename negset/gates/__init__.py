"""Gates on content: each reads tables and says what it found; none knows how or when a set is published."""
