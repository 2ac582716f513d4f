"""`%load_ext skipstone`: in a real shell, and a real notebook run by a real kernel."""

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

CELL = "from failing_networks import Widening\nimport torch\nWidening()(torch.zeros(2, 3, 6, 6))"


@pytest.fixture
def shell():
    shell = InteractiveShell()
    before = shell.showtraceback
    yield shell
    shell.run_line_magic("unload_ext", "skipstone")
    assert shell.showtraceback == before


def test_the_explanation_stands_under_the_cells_traceback(shell, capsys):
    shell.run_cell("%load_ext skipstone")
    shell.run_cell(CELL)
    said = capsys.readouterr().out
    assert "RuntimeError" in said
    assert said.index("RuntimeError") < said.index("SK101")
    assert "programs/calls.py" not in said
    shell.run_cell("1/0")
    assert "skipstone" not in capsys.readouterr().out
    shell.run_cell("%unload_ext skipstone")
    shell.run_cell(CELL)
    assert "SK101" not in capsys.readouterr().out


def test_one_cell_alone(shell, capsys):
    shell.run_cell("%load_ext skipstone\n")
    shell.run_cell("%unload_ext skipstone")
    shell.run_cell(f"%%skipstone\n{CELL}")
    assert "SK101" in capsys.readouterr().out
    shell.run_cell(CELL)
    assert "SK101" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_notebook_executed_by_a_kernel_shows_the_report_as_html(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cells = [
        nbformat.v4.new_code_cell(f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}"),
        nbformat.v4.new_code_cell("%load_ext skipstone"),
        nbformat.v4.new_code_cell(CELL, metadata={"tags": ["raises-exception"]}),
    ]
    book = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120).execute()
    outputs = book.cells[2].outputs
    assert [output.output_type for output in outputs] == ["error", "display_data"]
    assert "SK101" in outputs[1].data["text/html"]
    assert outputs[1].data["text/plain"].startswith("skipstone: Widening")
