"""Remove what nothing needs any more: old versions, orphaned artifacts, what killed processes left."""
