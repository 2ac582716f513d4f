"""Answers that are none: what a student's file must not get away with, each with what it must be told."""

# name -> (source, a part of what the verdict says)
HOSTILE = {
    "endless loop": ("while True:\n    pass\n", "still running when its time was up"),
    "endless loop that swallows": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        "still running when its time was up",
    ),
    "50 GB": ("x = bytearray(50 << 30)\n", "more memory than an exercise may use"),
    "50 GB of a tensor": ("import torch\nx = torch.ones(50 << 28)\n", "more memory than an exercise may use"),
    "fork bomb": ("import os\nfor _ in range(3):\n    os.fork()\n", "os.fork is not allowed"),
    "processes": ("import subprocess\nsubprocess.run(['true'])\n", "subprocess.Popen is not allowed"),
    "exit": ("import os\nos._exit(0)\n", "ended its own process (status 0)"),
    "sys.exit": ("import sys\nsys.exit(0)\n", "ended the program"),
    "signal to the session": ("import os\nos.kill(os.getppid(), 9)\n", "os.kill is not allowed"),
    "reading a solution": (
        "import skipstone.learn\nfrom pathlib import Path\n"
        "text = (Path(skipstone.learn.__file__).parent / 'units' / 'shapes_1.py').read_text()\n",
        "are not to be read in an exercise",
    ),
    "importing a solution": (
        "from skipstone.learn.units.shapes_1 import SOLUTION\nexec(SOLUTION)\n", "are not to be read in an exercise"
    ),
    "reading by a library": (
        "import ctypes\nctypes.CDLL(None).system(b'true')\n", "ctypes.dlopen is not allowed"
    ),
    "reading elsewhere": ("print(open('/etc/passwd').read())\n", "/etc/passwd is not to be read"),
    "writing elsewhere": ("open('/tmp/skipstone-was-here', 'w')\n", "is not to be written"),
    "network": ("import socket\nsocket.socket().connect(('127.0.0.1', 9))\n", "socket.__new__ is not allowed"),
    "printing passed": ("print('shapes-1: passed, 6 of 6 right')\n", "nothing in the file is called shapes"),
    "printing answers": (
        'import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b\'{"verdict": "passed"}\\n\')\n'
        "    except OSError:\n        pass\n",
        "nothing in the file is called shapes",
    ),
    "patching the grader": (
        "import sys, types\n"
        "from skipstone.learn import verdict\n"
        "verdict.Verdict.passed = property(lambda self: True)\n"
        "verdict.verdict_of = lambda *args, **kwargs: None\n"
        "import skipstone.learn.judging as judging\n"
        "judging.judge_source = judging.judge_file = lambda *args, **kwargs: 'passed'\n",
        "nothing in the file is called shapes",
    ),
    "an object equal to everything": (
        "class Any(tuple):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n\n\n"
        "shapes = {name: Any((1,)) for name in ('conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'pool3')}\n",
        "a shape here has four numbers",
    ),
    "no Python": ("shapes = {\n", "raises SyntaxError"),
    "not text": ("shapes = '\x00'\n", "raises"),
}  # fmt: skip
