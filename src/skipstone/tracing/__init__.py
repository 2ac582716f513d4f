"""nn.Module -> Graph: record a forward pass on fake tensors."""

from skipstone.core.input_text import ExampleError
from skipstone.tracing.example import Example, parse_example, parse_input_text
from skipstone.tracing.trace import cost_of_record, record, trace

__all__ = ["Example", "ExampleError", "cost_of_record", "parse_example", "parse_input_text", "record", "trace"]
