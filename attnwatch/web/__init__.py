"""The page: batches in a browser, while they grow. It reads files and writes none."""
