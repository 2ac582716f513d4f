"""Reports: figures, tables and words from records alone. Nothing in this package imports torch."""

from skipstone.report.page import REPORT_FILE, page, read_records, write_report
from skipstone.report.text import drawing_text

__all__ = ["REPORT_FILE", "drawing_text", "page", "read_records", "write_report"]
