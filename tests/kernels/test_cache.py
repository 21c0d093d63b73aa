"""The folders of compiled kernels: what is kept, under which key, what is trusted, and what if nothing can be kept."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from scale_kernel import SOURCE, built, forget, libraries, scale_kernel, scaled

import sci
from sci import kernels
from sci.errors import KernelCompileError
from sci.kernels import cache, compile, launch

PROGRAM = """
from scale_kernel import scaled
assert scaled()[39] == 117.0
"""


def _start(folder: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    """Start a process that runs the kernel of `folder` with the cache in use."""
    cases = Path(__file__).parents[1] / "cases"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(cases), os.environ.get("PYTHONPATH", "")]),
        "SCI_KERNEL_PATH": str(folder),
        "SCI_CACHE_DIR": str(kernels.cache_folder()),
        "SCI_THREADS": "1",
        **variables,
    }
    command = [sys.executable, *options, "-c", PROGRAM]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def _counting_compiler(folder: Path) -> tuple[Path, Path]:
    """Return a compiler that counts its runs, and the file of the count."""
    path, _ = kernels.find_compiler(None)
    counter, wrapper = folder / "count", folder / "cxx"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) ;; *) echo >> {counter}; sleep 0.2 ;; esac\nexec {path} "$@"\n'
    )
    wrapper.chmod(0o755)
    counter.write_text("")
    return wrapper, counter


def test_the_cache_is_used_again(folder):
    first = built()
    stamp = first.stat().st_mtime_ns
    assert built() == first
    assert first.stat().st_mtime_ns == stamp
    assert libraries() == {first.name}
    assert [p for p in kernels.cache_folder().iterdir() if p.suffix not in (".so", ".lock")] == []


def test_the_key_holds_all_that_changes_the_binary(folder, monkeypatch):
    keys = [built(), built("-DSOMETHING"), built(dtype="float32")]
    with sci.options(cxxflags="-DANOTHER -O2"):
        keys.append(built())
    (folder / "scale.cu").write_text(SOURCE + "// more\n")
    keys.append(built())
    (folder / "host.h").write_text((folder / "host.h").read_text() + "// more\n")
    keys.append(built())
    path, version = kernels.find_compiler(None)
    for found in ((path, version + " (another)"), (f"{Path(path).parent}/./{Path(path).name}", version)):
        monkeypatch.setattr(compile, "find_compiler", lambda _, found=found: found)
        keys.append(built())
    monkeypatch.setattr(compile, "_processor", lambda: "another")
    keys.append(built())
    assert len(set(keys)) == len(keys) == 9


def test_a_header_that_is_not_included_does_not_count(folder):
    first = built()
    (folder / "other.h").write_text("// of other kernels\n")
    assert built() == first
    assert libraries() == {first.name}


def test_a_changed_source_is_compiled_again(folder):
    assert scaled()[1] == 3.0
    (folder / "scale.cu").write_text(SOURCE.replace("T(factor) * x[i]", "-T(factor) * x[i]"))
    forget()  # a new process
    assert scaled()[1] == -3.0


def test_flags_of_the_user_are_used(folder):
    with sci.options(cxxflags="-DSCI_NO_SUCH -fno-such-flag"), pytest.raises(KernelCompileError, match="no-such-flag"):
        built()


def test_libraries_of_the_cache_do_not_stand_for_each_other(folder):
    """Files are opened one after the other under one number; each kernel is still its own."""
    for _ in range(2):
        forget()
        for dtype in ("float64", "float32", "float64"):
            x, out = np.arange(5, dtype=dtype), np.zeros(5, dtype)
            launch(scale_kernel(dtype), 1, x, out, 5, 2.0)
            np.testing.assert_array_equal(out, 2 * x)


def test_processes_that_compile_at_once(folder, tmp_path):
    """Eight processes share one library; the compiler, wrapped to count, runs twice: to compile and to link."""
    wrapper, counter = _counting_compiler(tmp_path)
    started = [_start(folder, SCI_COMPILER=str(wrapper)) for _ in range(8)]
    for process in started:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    assert len(libraries()) == 1
    assert counter.read_text().count("\n") == 2


DAMAGE = {
    "cut at a page": lambda data: data[:8192],
    "cut in the checksum": lambda data: data[:-1],
    "empty": lambda data: b"",
    "a flipped bit": lambda data: data[:5000] + bytes([data[5000] ^ 16]) + data[5001:],
    "a plain library": lambda data: data[:-48],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_library_is_made_again_with_one_warning(folder, tmp_path, kind):
    wrapper, counter = _counting_compiler(tmp_path)
    with sci.options(compiler=str(wrapper)):
        path = built()
        whole = path.read_bytes()
    path.unlink()  # this process has it mapped, and would die of what it loses
    path.write_bytes(DAMAGE[kind](whole))
    process = _start(folder, SCI_COMPILER=str(wrapper))
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert errors.count("RuntimeWarning") == 1
    assert "is damaged" in errors
    assert counter.read_text().count("\n") == 4
    assert len(path.read_bytes()) == len(whole)
    process = _start(folder, "-W", "error", SCI_COMPILER=str(wrapper))
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors


def test_a_library_that_others_may_write_is_not_loaded(folder):
    path = built()
    path.chmod(0o666)
    with pytest.warns(RuntimeWarning, match=r"is not used, because others may write to it.*SCI_CACHE_DIR") as caught:
        assert scaled()[1] == 3.0
    assert len(caught) == 1
    assert path.stat().st_mode & 0o777 == 0o666  # it is not ours to change


def test_a_library_of_another_user_is_not_loaded(folder, monkeypatch):
    path, other = built(), 54321
    if os.geteuid() == 0:
        os.chown(path, other, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.warns(RuntimeWarning, match="it belongs to user"):
        assert scaled()[1] == 3.0


def test_a_link_in_place_of_a_library_is_not_followed(folder, tmp_path):
    path = built()
    path.rename(tmp_path / "elsewhere.so")
    path.symlink_to(tmp_path / "elsewhere.so")
    with pytest.warns(RuntimeWarning, match=r"is not used: .*symbolic links"):
        assert scaled()[1] == 3.0


def test_a_warm_cache_needs_no_compiler(folder, monkeypatch):
    built()
    monkeypatch.setattr(compile, "find_compiler", lambda _: None)
    assert kernels.use_compiled(scale_kernel(), np.zeros(1))
    assert scaled()[1] == 3.0
    with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler"):
        assert not kernels.use_compiled(scale_kernel("float32"), np.zeros(1))


def test_layers_are_read_and_not_written(folder, tmp_path):
    wrapper, counter = _counting_compiler(tmp_path)
    layer = tmp_path / "site"
    with sci.options(compiler=str(wrapper)):
        with sci.options(cache_dir=str(layer)):
            path = built()
        layer.chmod(0o555)
        held = sorted(p.name for p in layer.iterdir())
        forget()
        with sci.options(kernel_layers=f"{tmp_path / 'none'}{os.pathsep}{layer}"):
            assert scaled()[1] == 3.0
    assert counter.read_text().count("\n") == 2
    assert libraries() == set()
    assert sorted(p.name for p in layer.iterdir()) == held
    assert path.exists()


def test_a_killed_compile_leaves_no_library(folder, monkeypatch):
    def killed(command: list[str], source: str) -> None:
        Path(command[command.index("-o") + 1]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(compile, "_run_compiler", killed)
    with pytest.raises(KeyboardInterrupt):
        built()
    monkeypatch.undo()
    assert libraries() == set()
    assert scaled()[1] == 3.0


def test_what_killed_writers_left_is_swept_after_an_hour(folder):
    first = built()
    for name, age in ((".old.so.node.1.ab.tmp", 4000), (".young.so.node.2.cd.tmp", 60)):
        (first.parent / name).write_bytes(b"half")
        os.utime(first.parent / name, (time.time() - age,) * 2)
    built("-DMORE")
    assert {p.name for p in first.parent.glob(".*.tmp")} == {".young.so.node.2.cd.tmp"}


@pytest.mark.parametrize("reason", ["a file is in the way", "no permission", "no space left", "read-only"])
def test_an_unwritable_cache_costs_a_warning(folder, tmp_path, monkeypatch, reason):
    blocked = tmp_path / "blocked"
    if reason == "a file is in the way":
        blocked.write_text("not a folder")
    codes = {"no permission": errno.EACCES, "no space left": errno.EDQUOT, "read-only": errno.EROFS}

    def refused(path: Path, *arguments: object, **options: object) -> object:
        if Path(path).is_relative_to(blocked):
            raise OSError(codes[reason], os.strerror(codes[reason]), str(path))
        return original(path, *arguments, **options)

    if reason == "no space left":
        original = cache.os.open
        monkeypatch.setattr(
            cache.os, "open", lambda p, f, *m, **o: (refused if f & os.O_CREAT else original)(p, f, *m, **o)
        )
    elif reason in codes:
        original = Path.mkdir
        monkeypatch.setattr(Path, "mkdir", refused)
    with sci.options(cache_dir=str(blocked)):
        with pytest.warns(RuntimeWarning, match=r"blocked.*SCI_CACHE_DIR") as caught:
            assert scaled()[1] == 3.0
        assert len(caught) == 1
        assert len(list(cache.local_folder().glob("*.so"))) == 1
        compile.host_function.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert scaled(50)[1] == 3.0  # from there, and no second warning


def test_a_full_file_system_costs_a_warning(folder, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small file system here")
    try:
        with sci.options(cache_dir=str(small)), pytest.warns(RuntimeWarning, match=r"small.*No space left"):
            assert scaled()[1] == 3.0
        assert list(small.glob(".*.tmp")) == list(small.glob("*.so")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_without_a_home_temporary_files_take_the_kernels(folder, monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    cache._cache_folder.cache_clear()
    with sci.options(cache_dir=None):
        with pytest.warns(RuntimeWarning, match=r"no home folder.*SCI_CACHE_DIR"):
            assert kernels.cache_folder() == cache.local_folder()
        assert scaled()[1] == 3.0
    cache._cache_folder.cache_clear()


def test_a_compiler_that_hangs_is_stopped_with_its_children(folder, tmp_path, monkeypatch):
    hanging, pid = tmp_path / "hanging", tmp_path / "pid"
    hanging.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) echo hanging 1.0 ;; *) sleep 600 & echo $! > {pid}; wait ;; esac\n'
    )
    hanging.chmod(0o755)
    monkeypatch.setattr(compile, "COMPILE_SECONDS", 2.0)
    with (
        sci.options(compiler=str(hanging)),
        pytest.raises(KernelCompileError, match=r"did not end in 2 s.*SCI_COMPILER"),
    ):
        built()
    child = Path("/proc") / pid.read_text().strip()
    deadline = time.monotonic() + 20
    while child.exists() and "Z" not in (child / "stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < deadline, "the child of the compiler is alive"
        time.sleep(0.05)


def test_a_lock_that_hangs_is_named_and_not_waited_for(folder, monkeypatch):
    name = built().name
    (kernels.cache_folder() / name).unlink()
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.2)
    with open(kernels.cache_folder() / f"{name}.lock", "r+") as held:
        assert held.read() == f"process {os.getpid()} on {os.uname().nodename}"  # who held it last
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.warns(RuntimeWarning, match=rf"process \d+ on .* waited 0 s for process {os.getpid()} on .*\.lock"):
            assert scaled()[1] == 3.0
    assert libraries() == {name}
