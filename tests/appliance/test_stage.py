"""A stage finds free ports, asks its Prometheus, and adds up what its processes use."""

import os
import socket
import subprocess
import sys

import pytest
from topmast import stage
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK, PORTS, Layout


def test_ports_in_use_are_passed_over() -> None:
    first = stage.free_offset(set())
    with socket.create_server((LOOPBACK, PORTS["exporter"] + first)):
        second = stage.free_offset(set())

    assert second > first
    assert stage.free_offset({first}) != first


def test_a_prometheus_that_does_not_answer_is_named() -> None:
    with pytest.raises(TopmastError, match=r"http://127\.0\.0\.1:1: 'up'"):
        stage.query("http://127.0.0.1:1", "up")


def test_the_cpu_time_of_children_counts(tmp_path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()

        used = stage.Stage(Layout(tmp_path, tmp_path), parent.pid).cpu_seconds()

        parent.communicate("\n")
    assert used >= 0.29
    assert stage.Stage(Layout(tmp_path, tmp_path), os.getpid()).cpu_seconds() > 0
