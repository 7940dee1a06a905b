"""An audit of what runs at startup finds nothing to worry about in an environment with only our wheel."""

from __future__ import annotations

import json

import pytest
from harness.environments import Environment, NewEnvironment, run

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def auditor(new_environment: NewEnvironment) -> Environment:
    environment = new_environment(hooked=False)
    environment.install_from_registry("autorun-audit")
    return environment


def test_the_audit_finds_nothing_above_medium(auditor: Environment, new_environment: NewEnvironment) -> None:
    audited = new_environment()
    done = run(auditor.scripts / "autorun-audit", "env", "--python", audited.python, "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    assert [(finding["rule"], finding["severity"]) for finding in findings] == [("pth.import-line", "medium")]
    (finding,) = findings
    assert finding["owner"].startswith("truststore_auto==")
    assert finding["command"] == "import truststore_autoinject; truststore_autoinject.activate()"
