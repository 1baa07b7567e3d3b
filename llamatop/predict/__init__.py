"""What a model will take and how fast it can be, known before anything is loaded."""
