"""What is shown: figures, tables, pages."""
