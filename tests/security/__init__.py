"""What nobody may do, see or find out."""
