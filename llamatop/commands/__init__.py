"""What each command of the command line does; every one imports only what it needs."""
