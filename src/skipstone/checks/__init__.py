"""Find what is wrong with a network's skip connections, explain it, propose verified repairs."""

from skipstone.checks.check import check
from skipstone.checks.codes import BY_CODE, CODES, Code
from skipstone.checks.report import Report
from skipstone.checks.subject import Subject

__all__ = ["BY_CODE", "CODES", "Code", "Report", "Subject", "check"]
