"""One file per subcommand, each with `run(options) -> exit code`. Imported only when it runs."""
