"""Other tools' result files, read as runs or as tables; knows no screen and no figures."""
