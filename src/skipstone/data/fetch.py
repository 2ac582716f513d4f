"""Download a data set's archive from its official address into the user's cache folder, checked by its checksum."""

from pathlib import Path

from skipstone.data.images import DataError


def cache_folder() -> Path:
    """Where downloads are kept: the platform's cache folder for skipstone, or what `SKIPSTONE_CACHE` names."""
    import os

    from platformdirs import user_cache_path

    named = os.environ.get("SKIPSTONE_CACHE")
    return Path(named) if named else user_cache_path("skipstone")


def fetch(url: str, md5: str, name: str) -> Path:
    """The path of `name` in the cache folder, downloaded from `url` unless it is there already.

    Raises:
        DataError: the address cannot be reached, or what came has another checksum (then nothing is kept).
    """
    try:
        import pooch
    except ImportError as error:
        raise DataError(
            "downloading needs pooch, which is not installed: pip install 'skipstone[train]', or give --data-dir"
        ) from error
    folder = cache_folder()
    try:
        return Path(pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=folder))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
        raise DataError(
            f"cannot fetch {url} into {folder}: {error}; download it by other means and give its path with --data-dir"
        ) from error
