"""Models on a hub (huggingface.co, or another one at ``HF_ENDPOINT``): finding, fetching, what can go wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathosnet.errors import InputError
from pathosnet.files import to_path

MODEL_FILES = (
    *("config.json", "model.safetensors", "README.md", "run.json", "metrics.json"),
    *("text/*.safetensors", "text/*.words.txt", "text/*.ftz", "text/*.fasttext"),
    "text/*.json",  # of an encoder, in a folder of its own there
)
"""All that is ever fetched; nothing among it can hold a pickle or a program."""

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_model(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """Finds a model's folder; fetches it if the name is none.

    Args:
        name: a folder, or ``user/name`` on the hub.
        revision: branch, tag or commit on the hub.
        cache_dir: where to keep what is fetched; the hub's own cache if None.
        token: for models that are not for everybody.
        local_files_only: ask nobody, take what was fetched earlier.
        force_download: fetch it again.

    Returns:
        The folder; of a name that can be neither, the name, where there is nothing.

    Raises:
        InputError: the model cannot be had; says why and what to do.
    """
    folder = to_path(name)
    if folder.exists() or not _ID.fullmatch(name):
        return folder
    from huggingface_hub import snapshot_download  # a folder needs none of it

    with hub_errors(name, revision):
        return Path(
            snapshot_download(
                name,
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
                force_download=force_download,
                allow_patterns=list(MODEL_FILES),
                library_name="pathosnet",
            )
        )


def upload_folder(
    folder: str | Path, repo_id: str, private: bool | None = None, *, token: str | None = None, **options: Any
) -> str:
    """Uploads a folder, to a repository that is made if it is not there.

    Args:
        folder: all its files are uploaded.
        repo_id: ``user/name``.
        private: whether a new repository is hidden from others.
        token: of the account.
        **options: ``commit_message``, ``revision``, ``create_pr``.

    Returns:
        The address of the commit.

    Raises:
        InputError: the hub cannot be reached, or does not let you.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="pathosnet")
    with hub_errors(repo_id):
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if options.get("revision") and not options.get("create_pr"):
            api.create_branch(name, branch=options["revision"], exist_ok=True)
        return str(api.upload_folder(repo_id=name, folder_path=folder, **options))


@contextmanager
def hub_errors(name: str, revision: str | None = None) -> Iterator[None]:
    """Turns what a hub or the way to it does wrong into one line for a person."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    no_folder = f"{name}: is no folder here, and as a model of {constants.ENDPOINT}"
    try:
        yield
    except GatedRepoError as error:
        raise InputError(f"{no_folder} it is not for everybody; ask for access there, then: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{no_folder} it does not exist, or is private; check the name, or pass a token (hf auth login)"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name}: has no revision {revision!r} at {constants.ENDPOINT}; take another") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        why = "the network is switched off" if constants.HF_HUB_OFFLINE else _reason(error)
        raise InputError(
            f"{no_folder} it is not in the cache ({why}); fetch it once while online: hf download {name}"
        ) from error
    except HFValidationError as error:
        raise InputError(f"{name}: is no name of a model ({_reason(error)})") from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise InputError(f"{name}: {constants.ENDPOINT} does not let you; hf auth login") from error
        raise InputError(f"{name}: {constants.ENDPOINT} answers: {_reason(error)}") from error
    except (HTTPError, OSError) as error:
        raise InputError(
            f"{name}: {constants.ENDPOINT} cannot be reached, or the cache not written: {_reason(error)}"
        ) from error


def _reason(error: BaseException) -> str:
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return " ".join((str(root) or type(root).__name__).split())[:200]
