"""A day as one Parquet file: scans, order books; merging, judging and clearing away."""
