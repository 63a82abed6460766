"""What `prepare` does: examine videos, write records, preview them."""
