"""Write infra/.env: the secrets that infra/compose.yaml reads, made here and kept nowhere else.

    python3 infra/make_env.py

What is there is never written over: a database keeps the password that it was made with.
"""

import os
import secrets
import sys
from pathlib import Path

LINES = (
    "# Secrets of infra/compose.yaml. Do not commit; whoever can read it is an administrator of the server.\n"
    "# Clients: export PREFECT_API_URL=http://127.0.0.1:4200/api PREFECT_API_AUTH_STRING=<PREFECT_AUTH_STRING>\n"
    "PREFECT_AUTH_STRING=admin:{}\n"
    "POSTGRES_PASSWORD={}\n"
    "STORE_ACCESS_KEY=negset\n"
    "STORE_SECRET_KEY={}\n"
    "# A folder with build files and sources; runs see it as /files.\n"
    "NEGSET_FILES=./files\n"
)


def write(path: Path) -> None:
    """Write new secrets to `path`, which only its owner may read; raise FileExistsError where it is there."""
    text = LINES.format(*(secrets.token_hex(24) for _ in range(3)))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    env = Path(__file__).with_name(".env")
    try:
        write(env)
    except FileExistsError:
        sys.exit(f"{env} is there already and stays as it is")
    sys.stdout.write(f"wrote {env}\n")
