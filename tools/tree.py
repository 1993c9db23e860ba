"""The project's files, for the checks: what git knows or would add, without golden data."""
import subprocess
import sys


def files(*suffixes, under=""):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", under or "."],
                            check=True, capture_output=True, text=True).stdout
    return sorted(f for f in set(listed.split("\0"))
                  if f and f.endswith(suffixes) and not f.startswith("tests/golden/"))


def read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:  # deleted, not yet committed
        return ""


def report(name, problems):
    for problem in problems:
        print(f"{name}: {problem}")
    sys.exit(1 if problems else 0)
