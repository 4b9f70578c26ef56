"""The command line: a command per file, thin over the API. Modules here import an array library only when they run."""
