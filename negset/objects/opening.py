"""Open an object store by its address."""

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from negset.errors import ConfigError, EnvironmentFault
from negset.objects.folder import FolderObjects
from negset.objects.objects import Objects
from negset.objects.patience import Patience

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "file")
_BULK_TIMES = 30


def is_address(where: str) -> bool:
    """Say whether `where` is the address of an object store rather than a path."""
    return "://" in where


def open_objects(address: str, patience: Patience | None = None, *, allow_http: bool = False) -> Objects:
    """Open the store at `address`: s3://BUCKET/PREFIX, gs://, az://, or file:///FOLDER.

    Credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ... or the
    machine's role), never from the address. `allow_http` lets an endpoint without TLS be spoken to.
    Raises ConfigError for an address that is none or holds a secret, EnvironmentFault where obstore is missing.
    """
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES:
        message = f"{_shown(address)} is no address of an object store; known: {', '.join(SCHEMES)}"
        raise ConfigError(message)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = f"{_shown(address)}: an address holds no credentials and no options; they come from the environment"
        raise ConfigError(message)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.strip("/"):
            message = f"{address}: write file:///FOLDER, an absolute path"
            raise ConfigError(message)
        return FolderObjects(Path(unquote(parts.path)))
    if not parts.netloc:
        message = f"{address} names no bucket"
        raise ConfigError(message)
    return _bucket(address.rstrip("/"), patience or Patience(), allow_http=allow_http)


def _bucket(address: str, patience: Patience, *, allow_http: bool) -> Objects:
    if find_spec("obstore") is None:
        message = f"{address} needs the package obstore: pip install 'negset[s3]'"
        raise EnvironmentFault(message)
    # An extra: who stays on local disks does without it.
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import from_url  # noqa: PLC0415

    from negset.objects.bucket import BucketObjects  # noqa: PLC0415

    try:
        quick, bulk = (
            from_url(
                address,
                client_options={"timeout": f"{seconds}s", "connect_timeout": "5s", "allow_http": allow_http},
                retry_config={"max_retries": 0},
            )
            for seconds in (patience.request, _BULK_TIMES * patience.request)
        )
    except (BaseError, ValueError) as error:
        message = f"cannot open {address}: {(str(error).splitlines() or [''])[0]}"
        raise ConfigError(message) from error
    return BucketObjects(address, quick, bulk, patience)


def _shown(address: str) -> str:
    """Give `address` without what may be a secret."""
    return address.split("?", 1)[0].split("#", 1)[0].rpartition("@")[2]
