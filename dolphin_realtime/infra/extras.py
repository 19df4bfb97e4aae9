"""What only some installations need is an extra of the package: said by name where it is missing."""

from importlib.util import find_spec

from dolphin_realtime.model.errors import SettingsError


def need(module: str, extra: str, what: str) -> None:
    """Refuse what an extra is needed for, where it is not installed.

    Args:
        module: A module of the extra.
        extra: Its name in pyproject.toml.
        what: What needs it, as the operator asked for it.

    Raises:
        SettingsError: With how it is installed.
    """
    if find_spec(module) is None:
        raise SettingsError(
            f"{what} needs packages that are not installed: pip install 'dolphin-trader[{extra}]', or "
            f"make setup WITH={extra} in a checkout"
        )
