"""The Prefect shell, one file per room: open references, call one pure function, give a reference."""
