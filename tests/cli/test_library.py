"""The library as its users have it: installed, found by pkg-config, linked from C and C++, called from Python."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BIN, GOLDEN, ROOT, environment

PYTHON = ROOT / "bindings" / "python"
TINY = GOLDEN / "models" / "llama.gguf"


def sh(command, env=None, status=0, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment(**(env or {})), timeout=120, **more)
    assert done.returncode == status, (command, done.stdout, done.stderr)
    return done


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    sh(["make", "-s", "-C", str(ROOT), "install", f"PREFIX={folder}"])
    return folder


def flags(prefix, *args):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    env = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    return sh(["pkg-config", *args, "rocmforge"], env).stdout.split()


def build(prefix, source, out, *more, compiler="gcc"):
    sh([compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", str(source), *flags(prefix, "--cflags"),
        *(more or flags(prefix, "--libs")), f"-Wl,-rpath,{prefix}/lib", "-o", str(out)])
    return str(out)


def test_installed_files(prefix, tmp_path):
    for name in ("bin/rocmforge", "include/rocmforge.h", "lib/librocmforge.a", "lib/librocmforge.so", "lib/librocmforge.so.0",
                 "lib/pkgconfig/rocmforge.pc", "share/bash-completion/completions/rocmforge"):
        assert (prefix / name).exists(), name
    version = sh([str(prefix / "bin" / "rocmforge"), "--version"]).stdout.split()[1]
    assert flags(prefix, "--modversion") == [version]
    assert "SONAME" in sh(["objdump", "-p", str(prefix / "lib" / "librocmforge.so")]).stdout
    assert f'version = "{version}"' in (PYTHON / "pyproject.toml").read_text()
    sh(["make", "-s", "-C", str(ROOT), "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"])
    assert "prefix=/usr\n" in (tmp_path / "usr/lib/pkgconfig/rocmforge.pc").read_text()
    sh(["make", "-s", "-C", str(ROOT), "uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr"])
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_exported_names(prefix):
    declared = set(re.findall(r"\b(rocmforge_\w+)\(", re.sub(r"/\*.*?\*/", "", (ROOT / "include/rocmforge.h").read_text(),
                                                             flags=re.S).split("/* ---- init")[0]))
    declared = {name for name in declared if not name.endswith("_init")}
    for what in (["-D", str(prefix / "lib" / "librocmforge.so")], ["-g", str(prefix / "lib" / "librocmforge.a")]):
        lines = sh(["nm", "--defined-only", *what]).stdout.splitlines()
        names = {line.split()[2].split("@")[0] for line in lines if len(line.split()) == 3} - {"ROCMFORGE_0"}
        assert names == declared, names ^ declared


@pytest.mark.parametrize("language", ["c99", "c11", "c17", "c++11", "c++17"])
def test_header_compiles(language):
    compiler, kind = ("g++", "c++") if "+" in language else ("gcc", "c")
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    sh([compiler, f"-std={language}", "-x", kind, "-Wall", "-Wextra", "-pedantic", "-Wpadded", "-Werror", "-fsyntax-only",
        str(ROOT / "include" / "rocmforge.h")])


@pytest.mark.parametrize("link", ["shared", "static"])
def test_examples(prefix, tmp_path, link):
    static = [str(prefix / "lib" / "librocmforge.a"), "-ljansson", "-lutf8proc", "-lm", "-pthread"]
    more = static if link == "static" else []
    for name in ("stream_answer", "similar_texts"):
        source = ROOT / "examples" / f"{name}.c"
        assert len(source.read_text().splitlines()) < 60
        build(prefix, source, tmp_path / name, *more)
    done = sh([str(tmp_path / "stream_answer"), str(TINY), "hello"])
    assert "tokens after" in done.stderr and "ended by" in done.stderr and done.stdout
    want = subprocess.run([BIN, "generate", "-m", TINY, "--raw", "-q", "--temp", "0", "-n", "128", "-p", "hello"],
                          stdout=subprocess.PIPE, env=environment()).stdout
    assert done.stdout.encode() == want
    alike = [line.split()[0] for line in sh([str(tmp_path / "similar_texts"), str(TINY), "a", "a", "xyz"]).stdout.splitlines()]
    assert alike[:2] == ["1.0000", "1.0000"] and len(alike) == 3 and float(alike[2]) < 1
    assert "/nonexistent" in sh([str(tmp_path / "stream_answer"), "/nonexistent", "x"], status=1).stderr


def test_names_meet_none_of_the_program(prefix, tmp_path):
    """A program may have functions called as the library's inner ones."""
    source = tmp_path / "clash.c"
    source.write_text('#include <rocmforge.h>\nint rf_alloc(void);\nint rf_alloc(void) { return 7; }\nint main(void) {\n'
                      '    rocmforge_model *model;\n'
                      f'    if (rocmforge_model_open("{TINY}", NULL, &model) != ROCMFORGE_OK)\n        return 1;\n'
                      '    return rf_alloc() == 7 && rocmforge_model_close(model) == ROCMFORGE_OK ? 0 : 2;\n}\n')
    static = [str(prefix / "lib" / "librocmforge.a"), "-ljansson", "-lutf8proc", "-lm", "-pthread"]
    sh([build(prefix, source, tmp_path / "static", *static)])
    sh([build(prefix, source, tmp_path / "shared")])


def test_numbers_are_read_in_any_locale(prefix, tmp_path):
    locales = sh(["locale", "-a"]).stdout.split()
    comma = [name for name in locales if name.startswith(("de_", "fr_", "es_", "it_")) and "utf8" in name.lower()]
    if not comma:
        pytest.skip("no locale with a decimal comma is installed")
    source = tmp_path / "comma.c"
    source.write_text((ROOT / "examples" / "stream_answer.c").read_text().replace(
        "#include <stdio.h>", "#include <locale.h>\n#include <stdio.h>").replace(
        "    if (argc != 3)", f'    if (!setlocale(LC_ALL, "{comma[0]}"))\n        return 3;\n    if (argc != 3)').replace(
        '"temperature=0"', '"temperature=0.5 seed=1"'))
    sh([build(prefix, source, tmp_path / "comma"), str(TINY), "hello"])


@pytest.fixture(scope="session")
def python(prefix):
    def run(code, **more):
        env = {"PYTHONPATH": f"{PYTHON}{os.pathsep}{ROOT / 'tests' / 'cli'}",
               "ROCMFORGE_LIBRARY": str(prefix / "lib" / "librocmforge.so.0"), "PYTHONDONTWRITEBYTECODE": "1"}
        return sh([sys.executable, "-W", "error", "-c", code], env, **more).stdout
    return run


def test_python_structs_are_the_library_s(python):
    python("import ctypes\nfrom rocmforge._native import STRUCTS, lib\n"
           "assert len(STRUCTS) == 7\n"
           "for s in STRUCTS:\n    assert ctypes.sizeof(s) == lib.struct_size(s.name.encode()), s.name\n")
    # Field by field, against the header as a C compiler lays it out.
    names = python("from rocmforge._native import STRUCTS\n"
                   "for s in STRUCTS:\n    for f in s._fields_:\n        print(s.name, f[0], getattr(s, f[0]).offset)\n")
    fields = [line.split() for line in names.splitlines()]
    checks = "".join(f"_Static_assert(offsetof(rocmforge_{s}, {'name' if f == 'model_name' else f}) == {at}, \"{s}.{f}\");\n"
                     for s, f, at in fields)
    done = subprocess.run(["gcc", "-std=c11", "-x", "c", "-fsyntax-only", f"-I{ROOT / 'include'}", "-"],
                          input=f"#include <rocmforge.h>\n{checks}", stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and len(fields) > 80, done.stderr


def test_python(prefix):
    env = {"PYTHONPATH": str(PYTHON), "ROCMFORGE_LIBRARY": str(prefix / "lib" / "librocmforge.so.0"),
           "PYTHONDONTWRITEBYTECODE": "1"}
    done = sh([sys.executable, "-W", "error", str(PYTHON / "tests" / "check_binding.py"), str(TINY)], env)
    assert "all of the binding holds" in done.stdout


def test_python_without_the_library():
    done = subprocess.run([sys.executable, "-c", "import rocmforge"], stderr=subprocess.PIPE, text=True,
                          env=environment(PYTHONPATH=str(PYTHON), ROCMFORGE_LIBRARY="/nonexistent.so"))
    assert done.returncode == 1 and "/nonexistent.so" in done.stderr


def test_python_is_typed():
    mypy = shutil.which("mypy")
    if not mypy:
        pytest.skip("mypy is not installed")
    sh([mypy, "--strict", "--cache-dir", os.devnull, "rocmforge"], cwd=PYTHON)
