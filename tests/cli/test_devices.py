"""What stands on the bus and what drivers say of it, with drivers that are none."""
import os
import subprocess

import pytest
from conftest import ROOT, run

SOURCE = ROOT / "tests" / "gpu" / "fake_driver.c"


@pytest.fixture(scope="session")
def drivers(tmp_path_factory):
    """drivers("cuda", "hip"): variables under which these are found; others of this machine are not."""
    folder = tmp_path_factory.mktemp("drivers")
    for name, file, more in (("cuda", "libcuda.so.1", []), ("hip", "libamdhip64.so.6", ["-DHIP"])):
        (folder / name).mkdir()
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-fvisibility=hidden", *more, SOURCE, "-o",
                        folder / name / file], check=True)

    def found(*names, **more):
        return {"LD_LIBRARY_PATH": ":".join(str(folder / n) for n in names), **{k: str(v) for k, v in more.items()}}
    return found


def rows(text):
    return {line.split()[0]: line for line in text.splitlines()[1:]}


def test_devices_of_both_makers(drivers):
    result = run("devices", env=drivers("cuda", "hip"))
    assert result.status == 0, result.err
    table = rows(result.out)
    assert {"cpu", "cuda:0", "cuda:1", "hip:0", "hip:1"} <= set(table)
    assert "Fake Device 1" in table["cuda:1"] and "sm_90" in table["cuda:1"] and "132" in table["cuda:1"]
    assert "2.00 GiB" in table["cuda:1"] and "512 MiB" in table["cuda:1"]
    assert "--device gpu" in result.err


def test_a_machine_without_drivers_is_well(drivers):
    result = run("devices", env={"LD_LIBRARY_PATH": ""})
    assert result.status == 0 and "cpu" in rows(result.out)
    told = run("doctor", env={"LD_LIBRARY_PATH": ""})
    assert "cpu:" in told.out and told.status in (0, 1)  # 1: this machine has a device that does not work


def test_a_device_that_is_held(drivers):
    result = run("devices", env=drivers("cuda", FAKE_RETAIN=46))
    assert result.status == 0 and rows(result.out)["cuda:0"].split()[-1] == "-"
    assert "another process holds the device alone" in result.err


def test_doctor_copies(drivers):
    result = run("doctor", env=drivers("cuda", "hip"))
    assert result.status == 0, result.out + result.err
    for device in ("cuda:0", "cuda:1", "hip:0", "hip:1"):
        assert f"{device}: copies of 128 MiB came back whole" in result.out
    assert "NVIDIA: libcuda.so.1, interface 13000, 2 devices" in result.out


@pytest.mark.parametrize("more, says", [
    ({"FAKE_INIT": 999}, "SOME_ERROR (999); load the driver's memory module"),
    ({"FAKE_INIT": 803}, "reboot"),
    ({"FAKE_VERSION": 11080}, "version 11080, expected at least 12000"),
    ({"FAKE_ALLOC": 2}, "device 0: taking 134217728 bytes of its memory: OUT_OF_MEMORY (2)"),
    ({"FAKE_MEMORY": 1}, "asking for its memory"),
    ({"FAKE_WAIT": 700}, "waiting for a stream: SOME_ERROR (700)"),
    ({"FAKE_COPY": 1}, "copying from it"),
    ({"FAKE_RETAIN": 46}, "nvidia-smi shows which"),
    ({"FAKE_DAMAGE": 1}, "of 134217728 came back as"),
])
def test_doctor_names_what_is_wrong(drivers, more, says):
    result = run("doctor", env=drivers("cuda", **more))
    assert result.status == 1 and says in result.out and "WRONG" in result.out and "wrong" in result.err


def test_little_memory_is_enough(drivers):
    result = run("doctor", env=drivers("cuda", FAKE_FREE_MIB=9))
    assert result.status == 0 and "copies of 2 MiB came back whole" in result.out


def test_no_device_is_no_fault(drivers):
    for more in ({"FAKE_INIT": 100}, {"FAKE_INIT": 101}, {"FAKE_COUNT": 0}):
        result = run("doctor", env=drivers("cuda", **more))
        assert "libcuda.so.1 is there, a device is not" in result.out or "sees none of" in result.out
