"""What `roots()` lists: the system's anchors and the administrator's, less what somebody denied."""

from __future__ import annotations

import pytest

from macos import pki
from macos.framework_double import Setting
from macos.pki import issue
from macos.world import World
from truststore._backends.macos import MacOSVerifier

USER, ADMIN = 0, 1


def test_system_anchors_are_listed_once(world: World) -> None:
    world.double.trust_as_system(world.private_root.der, world.private_root.der)
    assert MacOSVerifier().roots() == [world.root.der, world.private_root.der]


def test_no_roots_at_all(world: World) -> None:
    world.double.reset()
    assert MacOSVerifier().roots() == []


@pytest.mark.parametrize(
    ("setting", "listed"),
    [
        (Setting.TRUST_ALWAYS, True),
        (Setting.TRUST_FOR_TLS, True),
        (Setting.TRUST_FOR_MAIL, False),
        (Setting.TRUST_FOR_ONE_HOST, False),
        (Setting.UNSPECIFIED, False),
        (Setting.DENY, False),
        (Setting.DENY_FOR_TLS, False),
        (Setting.DENY_FOR_MAIL, False),
    ],
)
def test_administrators_roots(world: World, setting: Setting, listed: bool) -> None:
    company = issue("Company Root", authority=True, private_key=pki.key("p256", 7))
    world.double.decide(ADMIN, setting, company.der)
    assert MacOSVerifier().roots() == [world.root.der, company.der][: 1 + listed]


@pytest.mark.parametrize("domain", [USER, ADMIN])
@pytest.mark.parametrize(
    ("setting", "listed"),
    [(Setting.DENY, False), (Setting.DENY_FOR_TLS, False), (Setting.DENY_FOR_MAIL, True), (Setting.TRUST_ALWAYS, True)],
)
def test_denied_system_anchors_are_left_out(world: World, domain: int, setting: Setting, listed: bool) -> None:
    world.double.decide(domain, setting, world.root.der)
    assert MacOSVerifier().roots() == [world.root.der] * listed


def test_user_may_deny_what_the_administrator_trusts(world: World) -> None:
    world.double.decide(ADMIN, Setting.TRUST_ALWAYS, world.private_root.der)
    world.double.decide(USER, Setting.DENY, world.private_root.der)
    assert MacOSVerifier().roots() == [world.root.der]
