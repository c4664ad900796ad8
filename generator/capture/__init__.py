"""Recording the attention of a running pipeline to the tracked words, exactly and without changing its output."""
