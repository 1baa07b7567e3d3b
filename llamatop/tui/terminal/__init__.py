"""The terminal itself: its pace, its cost, its end."""
