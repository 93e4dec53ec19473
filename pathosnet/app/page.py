"""The page: what is asked, what is answered, and how they are laid out, in Gradio's words."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pathosnet.app.answers import Asked, answer, compare, parts_header
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.recognizer.recognizer import PathosNet

LOCAL = "127.0.0.1"
LARGEST_FILE = "500mb"
FONTS = ("system-ui", "sans-serif")  # those of the reader's system: nothing is fetched from elsewhere
ABOUT = """# Emotions in speech

{model} {does}. Its answers are often wrong; its card says how often. Do not use them to judge people at work
or in education. What you record or upload stays on {place}, and is deleted when the program ends."""
NOTHING_YET = "Record something, or choose a file."
NO_WORDS = "This model reads no text: other words would change nothing."
NO_PROFILE = "No profile: the answer comes from the recording alone."
ABOUT_PROFILES = (
    "A few clips of the same speaker, neutral or in several emotions, without labels. The answer then comes from how "
    "the recording differs from them. Clips that are all angry would make anger what is usual."
)


def make_page(model: PathosNet, *, is_local: bool = True) -> Any:
    """Makes the page.

    Args:
        model: which answers.
        is_local: nobody but the person at this computer can see it, for what the page says about that.

    Returns:
        Gradio's ``Blocks``.

    Raises:
        InputError: Gradio is not installed.
    """
    gradio = import_gradio()

    def ask(path: str | None, text: str | None, profile: Profile | None, before: Asked | None) -> list[Any]:
        try:
            found = answer(model, path, text or "", profile)
        except InputError as error:
            return [_as_message(error, path), None, [], "", "", None]
        now = Asked(path, (text or "").strip(), found.values)
        probabilities = {label: found.values[label] for label in model.target.classes}
        return [found.summary, probabilities, found.parts, found.picture, compare(before, now), now]

    def ask_again(path: str | None, text: str | None, profile: Profile | None, before: Asked | None) -> list[Any]:
        return ask(path, text, profile, before) if path else [gradio.skip()] * 6

    def learn(paths: Sequence[str] | None) -> tuple[Profile | None, None, str]:
        if not paths:
            return None, None, NO_PROFILE
        try:
            profile = model.profile(paths)
        except InputError as error:
            return None, None, f"**{_as_message(error, *paths)}**"
        clips = "1 clip" if profile.num_recordings == 1 else f"{profile.num_recordings} clips"
        return profile, None, f"The profile of {clips} is taken into account."

    with gradio.Blocks(analytics_enabled=False, title="pathosnet") as page:
        gradio.Markdown(_about(model, is_local))
        with gradio.Row():
            with gradio.Column(min_width=300):
                sound = gradio.Audio(
                    sources=["microphone", "upload"], type="filepath", label="Recording", buttons=["download"]
                )
                text = gradio.Textbox(
                    label="What is said, if you know it",
                    info="Change it after an answer and press Enter to see what the words do.",
                    visible=model.text is not None,
                )
                gradio.Markdown(NO_WORDS, visible=model.text is None)
                profile, before = gradio.State(None), gradio.State(None)
                with gradio.Accordion("The speaker's profile", open=False, visible=bool(model.network.centers)):
                    gradio.Markdown(ABOUT_PROFILES)
                    clips = gradio.File(file_count="multiple", file_types=["audio", "video"], label="Clips")
                    known = gradio.Markdown(NO_PROFILE)
                button = gradio.Button("Answer", variant="primary")
            with gradio.Column(min_width=300):
                summary = gradio.Markdown(NOTHING_YET, elem_id="summary", container=True)
                values = gradio.Label(label="Probabilities", show_heading=False, visible=bool(model.target.classes))
                changes = gradio.Markdown(elem_id="changes")
        picture = gradio.HTML(elem_id="picture")
        parts = gradio.Dataframe(
            headers=parts_header(model), label="Parts", interactive=False, wrap=True, type="array", buttons=["copy"]
        )
        asked = [sound, text, profile, before]
        told = [summary, values, parts, picture, changes, before]
        silently = {"api_visibility": "private", "show_progress_on": summary}
        button.click(ask, asked, told, api_name="answer", show_progress_on=summary)
        sound.change(ask_again, asked, told, **silently)
        text.submit(ask, asked, told, **silently)
        learned = clips.change(learn, [clips], [profile, before, known], api_name="profile")
        learned.then(ask_again, asked, told, **silently)
    return page


def _about(model: PathosNet, is_local: bool) -> str:
    return ABOUT.format(
        model=f"The model {model.origin}" if model.origin else "The model",
        does=model.target.describe(),
        place="this computer" if is_local else "the computer that answers",
    )


def _as_message(error: InputError, *paths: str | None) -> str:
    """Says what is wrong with files by the names that a person gave them."""
    told = str(error)
    for path in filter(None, paths):
        told = told.replace(path, os.path.basename(path))
    return told


@contextmanager
def served(
    model: PathosNet, *, host: str = LOCAL, port: int | None = None, share: bool = False
) -> Iterator[tuple[str, str]]:
    """Serves the page until the block is left; what was uploaded is deleted then.

    Args:
        model: which answers.
        host: address on which to answer; ``0.0.0.0`` for everybody in the network.
        port: the first one that is free from 7860 if None.
        share: let Gradio forward a public address to this computer.

    Yields:
        The address here, and the public one, empty if there is none.

    Raises:
        InputError: Gradio is not installed, or the port is taken, or cannot be used.
    """
    folder = os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="pathosnet-")  # Gradio's own would stay
    page = None
    try:
        page = make_page(model, is_local=host == LOCAL and not share)
        yield _launch(page, server_name=host, server_port=port, share=share)
    finally:
        if page is not None:
            page.close(verbose=False)
        shutil.rmtree(folder, ignore_errors=True)


def _launch(page: Any, **options: Any) -> tuple[str, str]:
    theme = import_gradio().themes.Base(font=FONTS, font_mono=("ui-monospace", "monospace"))
    options |= {"theme": theme, "footer_links": ["settings"], "max_file_size": LARGEST_FILE}
    options |= {"prevent_thread_lock": True, "quiet": True, "enable_monitoring": False, "run_history": False}
    try:
        _, here, public = page.launch(**options)
    except OSError as error:
        port = options["server_port"] or "from 7860 on"
        raise InputError(f"port: {port} cannot be used ({' '.join(str(error).split())}); take another one") from error
    return here, public or ""


def check_address(host: str, port: int | None) -> None:
    """Sees to it that a page can be served there, before the work that leads to it.

    Raises:
        InputError: it cannot.
    """
    if port is not None and not 0 < port < 65536:
        raise InputError(f"port: expected a number from 1 to 65535, got {port}")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")  # as servers do
            tried.bind((host, port or 0))
    except OSError as error:
        place = host if port is None else f"{host}:{port}"
        raise InputError(
            f"{place}: no page can be served there ({error.strerror or error}); take another one"
        ) from error


def wait() -> None:
    """Waits until Ctrl-C."""
    while not threading.Event().wait(1.0):  # without end, waiting could not be interrupted on Windows
        pass


def import_gradio() -> Any:
    """Imports Gradio, which is to report to nobody.

    Raises:
        InputError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise InputError("the page needs Gradio; pip install 'pathosnet[app]'") from error
    return gradio
