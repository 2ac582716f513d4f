"""The quiz at a terminal: one question after another, or all of them on paper."""

from collections.abc import Callable, Iterator, Sequence

from skipstone.core.errors import SkipstoneError
from skipstone.learn.questions import Question

LETTERS = "abcd"


def sheet(questions: Sequence[Question]) -> str:
    """All questions, without their keys."""
    return "\n\n".join(text(number, question) for number, question in enumerate(questions, start=1))


def text(number: int, question: Question) -> str:
    rows = [f"   {letter}  {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
    return "\n".join([f"{number}. {question.text}", *rows])


def outcome(number: int, question: Question, letter: str) -> tuple[bool, str]:
    """Is the choice right, and what is said to it."""
    key = LETTERS[question.key]
    ran = "" if question.ran else " (by reasoning, not by a run)"
    if letter == key:
        return True, f"{number}. right: {question.why}{ran}"
    return False, f"{number}. {letter}, not right; it is {key}, {question.choices[question.key]}: {question.why}{ran}"


def mark(questions: Sequence[Question], letters: str) -> Iterator[tuple[bool, str]]:
    """The outcome of each answer; `letters` holds one for each question, "-" for none.

    Raises:
        SkipstoneError: they are not as many as there are questions.
    """
    given = [letter for letter in letters.lower() if not letter.isspace() and letter != ","]
    if len(given) != len(questions) or set(given) - set(f"{LETTERS}-"):
        raise SkipstoneError(f"answers are {letters!r}, expected {len(questions)} letters of {LETTERS}, or - for none")
    for number, (question, letter) in enumerate(zip(questions, given, strict=True), start=1):
        yield outcome(number, question, letter)


def asked(questions: Sequence[Question], read: Callable[[str], str], say: Callable[[str], None]) -> int:
    """Ask them one by one; how many were right. What is no choice is asked again; an empty answer ends the quiz."""
    num_right = 0
    for number, question in enumerate(questions, start=1):
        say(f"\n{text(number, question)}")
        letters = [*LETTERS[: len(question.choices)]]
        while (letter := _read(read)) and letter not in letters:
            say(f"{letter!r} is none of {', '.join(letters)}; press Enter alone to end the quiz")
        if not letter:
            break
        right, words = outcome(number, question, letter)
        num_right += right
        say(words)
    return num_right


def _read(read: Callable[[str], str]) -> str:
    """What was typed, in small letters; empty at the end of the input."""
    try:
        return read("your choice: ").strip().lower()
    except EOFError:
        return ""
