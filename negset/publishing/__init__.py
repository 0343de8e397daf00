"""From chosen negatives to a version that others can read and check: tables, papers, page, publishing."""
