"""Deployments are restarted, read and switched through the API server's documented API."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage, CannotConnect, Exit, FailedPartway, NotAllowed, Refused
from tests.postgres.app.acting import acted, looked, planned, text_of
from tests.postgres.app.cluster import TOKEN, Cluster, kubeconfig
from tests.postgres.app.conftest import Configured

TABLE = '[app.backend]\nkind = "kubernetes"\ndeployment = "backend"\nkubeconfig = "kubeconfig"\n'
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/backend"
SHORT = f"{TABLE}timeout = 1\n"


def test_a_restart_waits_for_the_rollout(cluster: Cluster, configured: Configured) -> None:
    workspace = configured(TABLE)
    made = planned(workspace, "app restart", name="backend")
    assert cluster.changes() == []
    assert made.plan.target == {"app": "backend", "deployment": "backend", "namespace": "shop", "uid": "u-1"}
    assert "kubectl rollout restart deployment/backend --namespace shop" in made.plan.steps[0].preview
    assert made.plan.risk.value == "reversible"
    page = acted(workspace, "app restart", made, name="backend")
    assert cluster.changes() == [("PATCH", DEPLOYMENT)]
    assert "kubectl.kubernetes.io/restartedAt" in cluster.deployment["spec"]["template"]["metadata"]["annotations"]
    assert cluster.deployment["status"]["replicas"] == 2, "it did not wait until those of before have ended"
    assert page.headline == "RESTARTED backend: 2 replicas of backend new and available"


def test_a_rollout_that_does_not_get_ready_says_which_pod(cluster: Cluster, configured: Configured) -> None:
    cluster.stuck = True
    cluster.pods.append(cluster.pod("backend-3", "CrashLoopBackOff", 2))
    with pytest.raises(FailedPartway) as caught:
        acted(configured(SHORT), "app restart", name="backend")
    assert "1 of the replicas before have not ended" in caught.value.fact
    assert "backend-3: CrashLoopBackOff" in caught.value.fact
    assert "canary" not in caught.value.fact
    assert "kubectl rollout undo" in caught.value.hint


def test_the_cluster_gives_up(cluster: Cluster, configured: Configured) -> None:
    cluster.stuck = True
    cluster.deployment["status"]["conditions"] = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]
    with pytest.raises(FailedPartway, match="the cluster gave up"):
        acted(configured(TABLE), "app restart", name="backend")


def test_another_deployment_of_the_same_name_is_not_touched(cluster: Cluster, configured: Configured) -> None:
    workspace = configured(TABLE)
    made = planned(workspace, "app restart", name="backend")
    cluster.deployment["metadata"]["uid"] = "u-2"
    with pytest.raises(Refused, match="created again since"):
        acted(workspace, "app restart", made, name="backend")
    assert cluster.changes() == []


def test_a_paused_one_is_refused(cluster: Cluster, configured: Configured) -> None:
    cluster.deployment["spec"]["paused"] = True
    with pytest.raises(Refused, match="paused"):
        planned(configured(TABLE), "app restart", name="backend")


def test_403_names_the_permission(cluster: Cluster, configured: Configured) -> None:
    said = f'deployments.apps "backend" is forbidden: User "ci" cannot patch (token {TOKEN})'
    cluster.refused["PATCH", "/backend"] = 403, {"kind": "Status", "message": said}
    with pytest.raises(NotAllowed) as caught:
        acted(configured(TABLE), "app restart", name="backend")
    assert "lacks patch deployments.apps in namespace shop" in caught.value.fact
    assert 'User "ci" cannot patch' in caught.value.fact
    assert TOKEN not in caught.value.fact
    assert "integration check" in caught.value.hint


def test_a_redirect_is_not_followed(cluster: Cluster, configured: Configured) -> None:
    cluster.refused["GET", "/backend"] = 307, f"{cluster.url}/elsewhere"
    with pytest.raises(CannotConnect, match="redirect"):
        planned(configured(TABLE), "app restart", name="backend")
    assert [one.path for one in cluster.asked] == [DEPLOYMENT]


def test_a_change_without_an_answer_is_not_repeated(cluster: Cluster, configured: Configured) -> None:
    cluster.refused["PATCH", "/backend"] = 500, {"message": "etcd"}
    with pytest.raises(FailedPartway, match="unknown whether Kubernetes accepted"):
        acted(configured(TABLE), "app restart", name="backend")
    assert len(cluster.changes()) == 1


def test_the_log_of_each_pod(cluster: Cluster, configured: Configured) -> None:
    cluster.log += "connect postgresql://app:url-canary@db/shop password='other-canary'\x1b[31m\n"
    cluster.pods[1] = cluster.pod("backend-2", "CrashLoopBackOff", 3)
    page = looked(configured(TABLE), "app logs", name="backend", lines=3)
    assert [one["replica"] for one in page.data["lines"]] == ["backend-1"] * 3 + ["backend-2"] * 3
    assert "canary" not in text_of(page) and "canary" not in json.dumps(page.data)
    assert "\x1b" not in json.dumps(page.data, ensure_ascii=False)
    found = looked(configured(TABLE), "app logs", name="backend", grep="GATEWAY")
    assert [one["replica"] for one in found.data["lines"]] == ["backend-1", "backend-2"]
    before = looked(configured(TABLE), "app logs", name="backend", grep="panic")
    assert [one["replica"] for one in before.data["lines"]] == ["backend-2"], "of one that fails, its attempt before"


def test_another_database_is_another_secret(cluster: Cluster, configured: Configured) -> None:
    workspace = configured(f'{TABLE}key = "url"\n')
    made = planned(workspace, "app switch-database", name="backend", to="db-new")
    assert made.plan.confirm == "backend"
    assert made.plan.risk.value == "destructive"
    assert "before: not from a Secret" in made.plan.steps[0].preview
    page = acted(workspace, "app switch-database", made, name="backend", to="db-new")
    (container,) = cluster.deployment["spec"]["template"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "db-new", "key": "url"}}
    assert container["env"] == [
        {"name": "LEVEL", "value": "info"},
        {"name": "DATABASE_URL", "valueFrom": reference},
    ]
    assert "canary" not in json.dumps(made.plan.to_json())
    assert page.headline.startswith("backend HAS ANOTHER DATABASE")


def test_what_may_not_be_done_is_said_beforehand(cluster: Cluster, configured: Configured) -> None:
    assert looked(configured(TABLE), "integration check", name="backend").exit_code is Exit.DONE
    cluster.allowed = {"get deployments", "list pods", "get pods/log"}
    page = looked(configured(TABLE), "integration check")
    missing = [one for one in page.data["permissions"] if not one["allowed"]]
    assert [one["permission"] for one in missing] == ["patch deployments.apps in namespace shop"]
    assert "--verb=patch --resource=deployments.apps --resource-name=backend" in missing[0]["grant"]
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert {one for one, _ in cluster.changes()} == {"POST"}, "a review changes nothing"


def test_what_does_not_answer_is_unknown(directory: Path, configured: Configured) -> None:
    kubeconfig(directory, "https://127.0.0.1:1")
    page = looked(configured(TABLE), "integration check")
    assert page.exit_code is Exit.UNKNOWN
    assert "UNKNOWN" in page.headline


def test_a_program_logs_in(cluster: Cluster, directory: Path, configured: Configured) -> None:
    program = directory / "log in.py"
    program.write_text(
        "import json, os\n"
        "asked = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "print(json.dumps({'kind': asked['kind'], 'status': {'token': os.environ['GIVEN']}}))\n"
    )
    env = [{"name": "GIVEN", "value": TOKEN}]
    entry = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(program)],
        "env": env,
    }
    kubeconfig(directory, cluster.url, exec=entry)
    assert planned(configured(TABLE), "app restart", name="backend").plan.steps
    kubeconfig(directory, cluster.url, exec={**entry, "args": ["-c", "print('nothing')"]})
    with pytest.raises(NotAllowed, match="there is no token"):
        planned(configured(TABLE), "app restart", name="backend")


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"server": "http://example.org"}, "neither https nor loopback"),
        ({"insecure-skip-tls-verify": True}, "turns off the check"),
        ({"certificate-authority-data": "AAAA"}, "no certificate"),
        ({"certificate-authority-data": "?"}, "not base64"),
    ],
)
def test_a_kubeconfig_that_is_not_safe(
    directory: Path, configured: Configured, change: dict[str, object], fact: str
) -> None:
    file = kubeconfig(directory, "https://127.0.0.1:1")
    content = json.loads(file.read_text())
    content["clusters"][0]["cluster"] |= change
    file.write_text(json.dumps(content))
    with pytest.raises(BadUsage, match=fact) as caught:
        planned(configured(TABLE), "app restart", name="backend")
    assert TOKEN not in f"{caught.value.fact} {caught.value.hint}"
