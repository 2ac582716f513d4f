"""The public networks of docs/zoo.md: tables of them, and the program that measures what skipstone says of each.

    PYTHONPATH=tools python -m zoo                  every network whose result is missing or out of date, then the page
    PYTHONPATH=tools python -m zoo monai resnet     those whose names contain one of the words; no page
    PYTHONPATH=tools python -m zoo --page           the page alone, from the results that are there

`families/` holds a table for each package: how its networks are built and called, and what one run of each of its
classes adds. `runner` measures each in a process that may die or hang, and writes a file for it as soon as it is done,
so that a run that was cut off goes on where it stopped. No trained weights are fetched.
"""
