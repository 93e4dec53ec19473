"""``pathosnet app``."""

import signal
import sys

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import say
from pathosnet.cli.predict import load_to_answer
from pathosnet.recognizer.shipped import DEFAULT

LOCAL = "127.0.0.1"


def app(
    model: str = DEFAULT,
    *,
    port: int | None = None,
    host: str = LOCAL,
    share: bool = False,
    open: bool = False,
    device: str = "cpu",
) -> None:
    """Open a page in the browser that answers: record or upload, see emotions over time.

    The page is for the person at this computer alone, unless --host or --share says otherwise. What is recorded or
    uploaded is deleted when the program ends. Ctrl-C ends it.

    Args:
        model: Which answers: the folder of a run or a model, base, small, or a name on the hub.
        port: Of the page; the first one that is free from 7860 if not given.
        host: Address on which the page is served; 0.0.0.0 for everybody in the network.
        share: Let Gradio's servers forward a public address to this computer; everybody who knows it can use the page.
        open: Open the page in the browser.
        device: Where to compute: cpu, cuda, cuda:1, mps ...
    """
    from pathosnet.app.page import check_address, import_gradio, served, wait

    check_address(host, port)  # before a model is loaded in vain
    import_gradio()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it tidies up then, too
    loaded = load_to_answer(model, device, None)
    with served(loaded, host=host, port=port, share=share) as (here, public):
        say(f"the page is at {here}{f' and, for everybody, at {public}' if public else ''}; Ctrl-C ends it")
        if open:
            import webbrowser

            webbrowser.open(here)
        try:
            wait()
        except KeyboardInterrupt:
            say("", sys.stderr)  # the terminal shows ^C


COMMAND = Command(app)
