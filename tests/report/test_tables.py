from rich.console import Console

from skipstone.experiments import read_comparison
from skipstone.report.tables import accuracy_table, comparison_text, epoch_table


def printed(table):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip())


def test_accuracies_golden(folder):
    assert printed(accuracy_table(read_comparison(folder))) == (
        """\
 network    parameters        training     validation           test   n
 ───────────────────────────────────────────────────────────────────────
 plain20        12,345   100.0 ± 0.0 %   97.2 ± 0.8 %   97.1 ± 0.4 %   3
 resnet20       12,345   100.0 ± 0.0 %   97.5 ± 0.5 %   97.4 ± 0.3 %   3
 plain56        12,345    44.7 ± 7.5 %   44.0 ± 6.0 %   45.0 ± 6.6 %   3
 resnet56       12,345   100.0 ± 0.0 %   98.0 ± 0.2 %   98.2 ± 0.2 %   3"""
    )


def test_epochs_golden(folder):
    assert printed(epoch_table(folder, read_comparison(folder))) == (
        """\
Training/validation accuracy, %
 epoch          1       2       3       4        5
 ─────────────────────────────────────────────────
 plain20    20/19   40/39   60/58   80/78   100/97
 resnet20   20/19   40/39   60/58   80/78   100/98
 plain56      9/9   18/18   27/26   36/35    45/44
 resnet56   20/20   40/39   60/59   80/78   100/98"""
    )


def test_text_names_what_is_left_out_and_warns(folder):
    lines = comparison_text(read_comparison(folder)).splitlines()
    assert lines[2] == "2 more differences, between depths and options, in the report."
    assert lines[3].startswith("warning: 3 seeds a network are few")
