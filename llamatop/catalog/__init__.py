"""The models that llamatop knows without asking anyone."""
