"""Does somebody on the way decrypt this connection? Told by the names on the certificates that inspection shows."""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from truststore._x509 import Certificate, Name

COMPANY, ANTIVIRUS, DEBUGGER = "company inspection", "antivirus on this computer", "debugging proxy"

# (what an issuer's O, OU or CN contains, in lower case; the product; its kind). The names are those of the products'
# own documentation for their inspection CA, or of the CA that a fresh installation makes. Vendors that also were public
# CAs (Symantec, Trend Micro) are named by their product only.
_PRODUCTS = (
    ("zscaler", "Zscaler", COMPANY),
    ("goskope", "Netskope", COMPANY),
    ("netskope", "Netskope", COMPANY),
    ("palo alto networks", "Palo Alto Networks", COMPANY),
    ("globalprotect", "Palo Alto Networks", COMPANY),
    ("fortinet", "Fortinet FortiGate", COMPANY),
    ("fortigate", "Fortinet FortiGate", COMPANY),
    ("fortiproxy", "Fortinet FortiProxy", COMPANY),
    ("blue coat", "Blue Coat / Symantec ProxySG", COMPANY),
    ("bluecoat", "Blue Coat / Symantec ProxySG", COMPANY),
    ("proxysg", "Blue Coat / Symantec ProxySG", COMPANY),
    ("symantec web security service", "Symantec Web Security Service", COMPANY),
    ("cisco umbrella", "Cisco Umbrella", COMPANY),
    ("cisco secure access", "Cisco Secure Access", COMPANY),
    ("ironport", "Cisco Secure Web Appliance", COMPANY),
    ("sophos", "Sophos", COMPANY),
    ("check point", "Check Point", COMPANY),
    ("checkpoint", "Check Point", COMPANY),
    ("forcepoint", "Forcepoint", COMPANY),
    ("websense", "Forcepoint (Websense)", COMPANY),
    ("skyhigh", "Skyhigh Secure Web Gateway", COMPANY),
    ("mcafee web gateway", "Skyhigh (McAfee) Web Gateway", COMPANY),
    ("interscan web", "Trend Micro InterScan Web Security", COMPANY),
    ("barracuda", "Barracuda", COMPANY),
    ("sonicwall", "SonicWall DPI-SSL", COMPANY),
    ("watchguard", "WatchGuard Firebox", COMPANY),
    ("fireware https proxy", "WatchGuard Firebox", COMPANY),
    ("gateway ca - cloudflare", "Cloudflare Gateway", COMPANY),
    ("cloudflare for teams", "Cloudflare Gateway", COMPANY),
    ("iboss", "iboss", COMPANY),
    ("menlo security", "Menlo Security", COMPANY),
    ("contentkeeper", "ContentKeeper", COMPANY),
    ("smoothwall", "Smoothwall", COMPANY),
    ("lightspeed systems", "Lightspeed Systems", COMPANY),
    ("securly", "Securly", COMPANY),
    ("cato networks", "Cato Networks", COMPANY),
    ("untangle", "Arista (Untangle) NG Firewall", COMPANY),
    ("squid", "Squid", COMPANY),
    ("kaspersky", "Kaspersky", ANTIVIRUS),
    ("avast web", "Avast Web Shield", ANTIVIRUS),
    ("avg web", "AVG Web Shield", ANTIVIRUS),
    ("eset ssl filter", "ESET", ANTIVIRUS),
    ("bitdefender", "Bitdefender", ANTIVIRUS),
    ("dr.web", "Dr.Web", ANTIVIRUS),
    ("adguard", "AdGuard", ANTIVIRUS),
    ("mitmproxy", "mitmproxy", DEBUGGER),
    ("charles proxy", "Charles", DEBUGGER),
    ("xk72", "Charles", DEBUGGER),
    ("do_not_trust_fiddler", "Fiddler", DEBUGGER),
    ("fiddler", "Fiddler", DEBUGGER),
    ("portswigger", "Burp Suite", DEBUGGER),
    ("zed attack proxy", "ZAP", DEBUGGER),
    ("proxyman", "Proxyman", DEBUGGER),
    ("http toolkit", "HTTP Toolkit", DEBUGGER),
)

# Names that no public CA certifies (RFC 6761, 6762, 8375; CA/Browser Forum, internal names).
_PRIVATE_SUFFIXES = (
    "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost",
    "onion", "private", "test",
)  # fmt: skip


class Product:
    """An inspecting product that the certificates name: `name`, its `kind`, and the `issuer` that says so."""

    __slots__ = ("issuer", "kind", "name")

    def __init__(self, name: str, kind: str, issuer: str) -> None:
        self.name = name
        self.kind = kind
        self.issuer = issuer


def product_in(path: Sequence[Certificate]) -> Product | None:
    """The first inspecting product that an issuer in `path` is named after."""
    for certificate in path:
        found = _product_of(certificate.issuer)
        if found is not None:
            return found
    return None


def _product_of(issuer: Name) -> Product | None:
    texts = [value.lower() for attribute, value in issuer.attributes if attribute in ("CN", "O", "OU")]
    for needle, name, kind in _PRODUCTS:
        if any(needle in text for text in texts):
            return Product(name, kind, str(issuer))
    return None


def is_public_name(host: str) -> bool:
    """Whether a public CA may certify `host`: then a root that no public bundle has means that somebody intercepts."""
    name = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_global
    except ValueError:
        return "." in name and name.rpartition(".")[2] not in _PRIVATE_SUFFIXES
