"""Find what is wrong with a network's skip connections, explain it, propose verified repairs."""

from skipstone.checks.assertion import assert_skips_ok
from skipstone.checks.checking import check
from skipstone.checks.codes import BY_CODE, BY_RULE, CODES
from skipstone.checks.report import Report
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject

__all__ = ["BY_CODE", "BY_RULE", "CODES", "Report", "Rule", "Subject", "assert_skips_ok", "check"]
