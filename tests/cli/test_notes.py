"""What every command that reads a table says about its form, on stderr."""

import pytest
from commands import QUICK

from pathosnet import cli


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "{table}", "--out", "{out}", *QUICK],
        ["finetune", "{run}", "{table}", "--out", "{out}", "--epochs=1", "--progress=false", "--logger=none"],
        ["evaluate", "{run}", "{table}"],
        ["robustness", "{run}", "{table}", "--gain=0", "--seeds=0"],
        ["predict", "{run}", "{table}"],
        ["corpora", "stats", "{table}"],
        ["transcribe", "{table}", "--out", "{out}.csv", "--recognizer=command:echo {{audio}}"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_form_of_a_table_is_said_once(arguments, run, copied, tmp_path, capsys):
    table = copied.with_name("semicolons.csv")
    table.write_bytes(copied.read_text().replace(",", ";").encode("utf-16"))
    capsys.readouterr()
    cli.main([one.format(table=table, run=run, out=tmp_path / "out") for one in arguments])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert said == [
        f"note: {table}: is not UTF-8; read as UTF-16",
        f"note: {table}: the columns are parted by semicolons",
    ]
