"""The containers collector on trees as the kernel writes them, v1 and v2."""

import json

import pytest
from topmast_exporter.collectors import containers
from topmast_exporter.collectors.containers import Config, ContainersSource
from topmast_exporter.errors import CollectError

ID = "4f" * 32


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def docker(tmp_path):
    folder = tmp_path / "docker" / "containers" / ID
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"Name": "/shop", "Config": {"Image": "shop:1"}}))
    return str(tmp_path / "docker")


@pytest.fixture
def v2(tmp_path):
    root = tmp_path / "v2"
    write(root, cgroup__controllers="cpu memory")
    write(
        root / "system.slice" / f"docker-{ID}.scope",
        cpu__stat="usage_usec 2500000\nnr_periods 100\nnr_throttled 7\n",
        cpu__max="50000 100000\n",
        memory__current="1000\n",
        memory__max="4000\n",
        memory__stat="anon 600\ninactive_file 300\n",
    )
    write(root / "system.slice" / f"docker-{ID}.scope" / "inside", memory__current="1\n")
    write(root / "system.slice" / "ssh.service", memory__current="1\n")
    return str(root)


@pytest.fixture
def v1(tmp_path):
    root = tmp_path / "v1"
    write(
        root / "memory" / "docker" / ID,
        memory__usage_in_bytes="1000\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__stat="total_inactive_file 300\n",
    )
    write(
        root / "cpu,cpuacct" / "docker" / ID,
        cpuacct__usage="2500000000\n",
        cpu__stat="nr_periods 100\nnr_throttled 7\n",
        cpu__cfs_quota_us="-1\n",
        cpu__cfs_period_us="100000\n",
    )
    return str(root)


def labels(path):
    return {"id": path, "name": "shop", "image": "shop:1"}


def test_version_2(v2, docker):
    reading = ContainersSource(Config("here", v2, docker)).collect()

    of = labels(f"/system.slice/docker-{ID}.scope")
    assert {metric.samples[0].name: [sample.value for sample in metric.samples] for metric in reading.metrics()} == {
        "container_cpu_usage_seconds_total": [2.5],
        "container_cpu_cfs_periods_total": [100],
        "container_cpu_cfs_throttled_periods_total": [7],
        "container_spec_cpu_quota": [50000],
        "container_spec_cpu_period": [100000],
        "container_memory_usage_bytes": [1000],
        "container_memory_working_set_bytes": [700],
        "container_spec_memory_limit_bytes": [4000],
    }
    assert reading.value("container_memory_working_set_bytes", **of) == 700


def test_version_1_without_limits(v1, docker):
    reading = ContainersSource(Config("here", v1, docker)).collect()

    of = labels(f"/docker/{ID}")
    assert reading.value("container_cpu_usage_seconds_total", cpu="total", **of) == 2.5
    assert reading.value("container_memory_working_set_bytes", **of) == 700
    assert reading.value("container_spec_memory_limit_bytes", **of) == 0
    assert reading.value("container_spec_cpu_quota", **of) is None


def test_a_container_that_nobody_names_has_its_id(v2, tmp_path):
    reading = ContainersSource(Config("here", v2, str(tmp_path / "none"))).collect()

    of = {"id": f"/system.slice/docker-{ID}.scope", "name": ID[:12], "image": ""}
    assert reading.value("container_memory_working_set_bytes", **of) == 700


def test_a_machine_without_cgroups_says_so(tmp_path):
    with pytest.raises(CollectError, match="no cgroups are mounted"):
        ContainersSource(Config("here", str(tmp_path))).collect()


def test_the_module_ends_in_its_constant():
    assert (containers.COLLECTOR.name, containers.COLLECTOR.up) == ("containers", "topmast_containers_up")
