"""Runs programs, each in a process of its own that need not import TensorFlow: see `elsewhere` in conftest.

A process that has imported TensorFlow and Keras and done nothing with them yet can be forked: TensorFlow makes its
devices and threads with the first operation. Reads requests, a line of JSON each, and answers each with a line when
it has ended.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
import types

import scipy.optimize  # noqa: F401
import tensorflow  # noqa: F401

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":  # others may have threads, which no fork has
    import keras  # noqa: F401

SECONDS = 300


def run(request):
    """In the fork: becomes what `python -c program *arguments` would be, and never returns."""
    status = 1
    try:
        signal.alarm(SECONDS)
        os.chdir(request["folder"])
        sys.argv[:], sys.path[0] = ["-c", *request["arguments"]], ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(request["program"], "<string>", "exec"), vars(main))
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main():
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
            child = os.fork()
            if child == 0:
                for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out.fileno()), (2, error.fileno())):
                    os.dup2(file, number)
                run(json.loads(line))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (out, error):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        print(json.dumps([status, *texts]), file=answers, flush=True)


if __name__ == "__main__":
    main()
