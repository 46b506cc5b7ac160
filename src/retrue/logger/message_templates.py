"""Messages of the interpreter and its built-in types, in which ``*`` stands for data or for a name of the program."""

from __future__ import annotations

import builtins
from functools import lru_cache
from types import CodeType
from typing import Final

HOLE: Final = "<*>"
"""What is written where data stood."""
_ERRNO = "[Errno "
_TYPES = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type)) | {
    "NoneType",
    "function",
    "method",
    "module",
    "builtin_function_or_method",
    "generator",
    "coroutine",
}


def told_by_template(text: str, code: CodeType | None) -> str | None:
    """Return a message of the interpreter with a hole for each piece of data; None where it is none.

    Names of built-in types are kept, and names that stand in the source of the function that it was raised in.

    >>> told_by_template("invalid literal for int() with base 10: 'Jane'", None)
    'invalid literal for int() with base <*>: <*>'
    """
    names = _names(code)
    told = (_filled(text, template, names) for template in _TEMPLATES)
    return next((each for each in told if each is not None), None)


def _filled(text: str, template: tuple[str, ...], names: frozenset[str]) -> str | None:
    """Return the text where it is made by the template, with holes kept that hold names of the program."""
    first, *others = template
    if not text.startswith(first):
        return None
    told, at = first, len(first)
    for number, part in enumerate(others):
        last = number == len(others) - 1
        found = (len(text) - len(part) if text.endswith(part) else -1) if last else text.find(part, at)
        if found < at:
            return None
        hole = text[at:found]
        kept = hole in _TYPES or hole in names or (first == _ERRNO and number == 0 and hole.isdecimal())
        told += (hole if kept else HOLE) + part
        at = found + len(part)
    return told if at == len(text) else None


@lru_cache(maxsize=512)
def _names(code: CodeType | None) -> frozenset[str]:
    """Names in the source of a function."""
    if code is None:
        return frozenset()
    return frozenset({*code.co_names, *code.co_varnames, *code.co_freevars, code.co_name})


_TEMPLATES: Final = tuple(
    tuple(line.split("*"))
    for line in """\
division by zero
float division by zero
integer division or modulo by zero
float modulo
float modulo by zero
integer modulo by zero
complex division by zero
0.0 cannot be raised to a negative power
zero to a negative power
math domain error
math range error
expected a nonnegative input, got *
expected a positive input
expected a positive input, got *
expected a finite input, got *
(34, 'Numerical result out of range')
list index out of range
list assignment index out of range
tuple index out of range
string index out of range
range object index out of range
pop from empty list
pop from an empty deque
pop from an empty set
pop from empty set
popitem(): dictionary is empty
dictionary changed size during iteration
dictionary keys changed during iteration
deque mutated during iteration
Set changed size during iteration
generator already executing
maximum recursion depth exceeded
maximum recursion depth exceeded while calling a Python object
maximum recursion depth exceeded in comparison
cannot convert float NaN to integer
cannot convert float infinity to integer
int too large to convert to float
Python int too large to convert to C *
could not convert string to float: *
could not convert string to *: *
invalid literal for int() with base *: *
complex() arg is a malformed string
Invalid isoformat string: *
time data * does not match format *
unconverted data remains: *
year * is out of range
day is out of range for month
month must be in 1..12
hour must be in 0..23
not enough values to unpack (expected *, got *)
too many values to unpack (expected *)
too many values to unpack (expected *, got *)
substring not found
list.remove(x): x not in list
* is not in list
tuple.index(x): x not in tuple
min() arg is an empty sequence
max() arg is an empty sequence
min() iterable argument is empty
max() iterable argument is empty
reduce() of empty iterable with no initial value
embedded null byte
embedded null character
I/O operation on closed file.
read of closed file
'*' object is not subscriptable
'*' object is not iterable
'*' object is not callable
'*' object is not an iterator
'*' object is not reversible
'*' object is not a mapping
'*' object does not support item assignment
'*' object does not support item deletion
'*' object doesn't support item deletion
'*' object does not support the context manager protocol
'*' object does not support the asynchronous context manager protocol
'*' object cannot be interpreted as an integer
'*' object has no attribute '*'
type object '*' has no attribute '*'
module '*' has no attribute '*'
cannot unpack non-iterable * object
cannot use '*' as a dict key (unhashable type: '*')
unhashable type: '*'
object of type '*' has no len()
object * can't be used in 'await' expression
bad operand type for unary *: '*'
bad operand type for abs(): '*'
unsupported operand type(s) for *: '*' and '*'
'*' not supported between instances of '*' and '*'
argument of type '*' is not iterable
argument of type '*' is not a container or iterable
can only concatenate str (not "*") to str
can only concatenate list (not "*") to list
can only concatenate tuple (not "*") to tuple
can't multiply sequence by non-int of type '*'
list indices must be integers or slices, not *
tuple indices must be integers or slices, not *
string indices must be integers, not '*'
slice indices must be integers or None or have an __index__ method
must be real number, not *
must be str, not *
float() argument must be a string or a real number, not '*'
int() argument must be a string, a bytes-like object or a real number, not '*'
sequence item *: expected str instance, * found
a bytes-like object is required, not '*'
not all arguments converted during string formatting
not enough arguments for format string
*() takes no arguments (* given)
*() takes * positional argument but * were given
*() takes * positional arguments but * was given
*() takes * positional arguments but * were given
*() missing * required positional argument: '*'
*() missing * required positional arguments: *
*() missing * required keyword-only argument: '*'
*() got an unexpected keyword argument '*'
*() got multiple values for argument '*'
*() argument after ** must be a mapping, not *
name '*' is not defined
free variable '*' referenced before assignment in enclosing scope
cannot access local variable '*' where it is not associated with a value
cannot access free variable '*' where it is not associated with a value in enclosing scope
No module named '*'
cannot import name '*' from '*' (*)
'*' codec can't decode byte * in position *: *
'*' codec can't decode bytes in position *: *
'*' codec can't encode character * in position *: *
'*' codec can't encode characters in position *: *
[Errno *] No such file or directory: *
[Errno *] Permission denied: *
[Errno *] Permission denied
[Errno *] Is a directory: *
[Errno *] Not a directory: *
[Errno *] File exists: *
[Errno *] No space left on device
[Errno *] No space left on device: *
[Errno *] Connection refused
[Errno *] Connection reset by peer
[Errno *] Broken pipe
[Errno *] Network is unreachable
[Errno *] Cannot allocate memory
[Errno *] Too many open files
[Errno *] Too many open files: *
[Errno *] Name or service not known
[Errno *] Temporary failure in name resolution
timed out
The read operation timed out
The write operation timed out
""".splitlines()
)
