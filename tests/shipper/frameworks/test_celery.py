"""A Celery worker itself: its records and a task's, with the task's name and id."""

import os
import subprocess
import sys
from pathlib import Path

APP = """
import logging, sys, threading
from celery import Celery, signals
from topmast_shipper.frameworks.celery import connect

app = Celery("shop", broker="filesystem://", broker_transport_options={
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"})
app.conf.worker_hijack_root_logger = True
connect("shop-worker")

@app.task(name="shop.send")
def send(number):
    logging.getLogger("shop").info("sending %d", number)

@signals.task_postrun.connect
def stop(**_):
    from celery.worker import state
    state.should_stop = 0
"""


def test_records_of_a_task_name_it(tmp_path: Path, records) -> None:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "queue").mkdir()
    (tmp_path / "control").mkdir()
    environment = {**os.environ, "TOPMAST_SPOOL": "spool"}
    sent = "import shop; print(shop.send.delay(7).id)"
    task = subprocess.run(
        [sys.executable, "-c", sent],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()

    argv = [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "solo", "--without-gossip"]
    done = subprocess.run(
        [*argv, "--without-mingle", "-l", "info"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        timeout=90,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    found = records()
    (record,) = [each for each in found if each["message"] == "sending 7"]
    assert (record["celery.task.id"], record["celery.task.name"]) == (task, "shop.send")
    (succeeded,) = [each for each in found if "succeeded" in each["message"]]
    assert succeeded["service"]["name"] == "shop-worker"
