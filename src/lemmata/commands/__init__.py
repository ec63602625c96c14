"""One subcommand of the command line per file; each is loaded when it is called."""
