"""How the events of a run are kept: a journal while it lasts, a Parquet file afterwards."""
