"""What `check` and `explain` found out about one chain, and how it is shown: as text and as JSON."""

from __future__ import annotations

from truststore import _explain, _oracle, _pem
from truststore._commands import deciders, roots
from truststore._commands.diagnosis import Chain, Inspection, Objection, find_inspection, objections
from truststore._errors import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from truststore._commands.deciders import Answer, Decider
    from truststore._commands.diagnosis import Link
    from truststore._commands.probe import Sighting, Target
    from truststore._commands.terminal import Paper
    from truststore._x509 import Certificate

SCHEMA = 1  # of the JSON; counted up when a field changes its meaning or goes away


class Opinion:
    """What one decider says, and why."""

    def __init__(self, decider: Decider, answer: Answer, why: str) -> None:
        self.decider = decider
        self.answer = answer
        self.why = why


class Report:
    """Everything about one chain. `trusted` is None if there was no verdict; then `topic` and `error` say why."""

    def __init__(self, subject: str, server_name: str | None) -> None:
        self.subject = subject
        self.server_name = server_name
        self.trusted: bool | None = None
        self.topic: str | None = None  # a word of _explain.TOPICS: the first cause
        self.error: str | None = None
        self.verify_code: int | None = None
        self.native_code: int | None = None
        self.decided_by = ""
        self.objections: list[Objection] = []
        self.other_causes: list[tuple[str, str]] = []  # (topic, fact)
        self.inspection: Inspection | None = None
        self.chain: Chain | None = None
        self.opinions: list[Opinion] = []
        self.system: roots.Roots | None = None
        self.connection: dict[str, object] = {}
        self.remarks: list[str] = []

    # ---- finding out ------------------------------------------------------------------------------------------------

    def fail(self, topic: str, error: str) -> Report:
        """There is no verdict, because of `topic`."""
        self.topic, self.error = topic, error
        return self

    def saw(self, sighting: Sighting, target: Target) -> None:
        """Keep what is worth knowing about the connection."""
        self.connection = {
            "address": sighting.address,
            "tls_version": sighting.version,
            "cipher": sighting.cipher,
            "starttls": target.starttls,
        }

    def judge(self, sent: Sequence[bytes], answer: Answer, decider: Decider, crl: str | None = None) -> Report:
        """Fill in everything about the chain `sent`, of which `decider` said `answer`."""
        self.decided_by = decider.name
        assumptions = decider.assumptions(self.server_name)
        if crl is not None and answer.trusted:
            assumptions = _with_crl(assumptions, crl)
            answer = deciders.Answer.from_verdict(_oracle.judge(sent, assumptions))
        self.trusted = answer.trusted
        self.chain = chain = Chain(sent, decider.roots)
        self._look_around(chain, decider, answer)
        if answer.trusted is None:
            return self.fail("no-verdict", answer.message)
        if not answer.trusted:
            self.verify_code, self.native_code = answer.verify_code, answer.native_code
            self.error = f"certificate verify failed: {answer.message}"
            self.objections = objections(chain, self.server_name, answer, decider, assumptions)
            self.topic = self.objections[0].reason.value
            self._look_behind(decider)
        return self

    def _look_around(self, chain: Chain, decider: Decider, answer: Answer) -> None:
        """Ask the others, and look for an inspection."""
        everyone = [decider, deciders.stock_python()]
        public: deciders.Decider | None = None
        bundle = roots.public_bundle()
        try:
            if bundle is not None:
                public = deciders.public_bundle(bundle)
                everyone.append(public)
            system = deciders.system_store()
            everyone.append(system)
            self.system = system.roots
        except (OSError, ImportError) as error:
            self.remarks.append(f"not everybody could be asked: {error}")
        for one in everyone:
            given = answer if one is decider else one.judge(chain.sent, self.server_name)
            self.opinions.append(Opinion(one, given, _why(one, given, chain)))
        if self.system is not None:
            known = public.roots if public is not None else None
            self.inspection = find_inspection(chain, self.server_name, self.system, known)
            if self.inspection is not None:
                self._find_origin(self.inspection, chain)

    def _find_origin(self, found: Inspection, chain: Chain) -> None:
        """Where the root of the inspection comes from."""
        top = chain.top
        if found.root is not None:
            found.local_file = roots.local_file_of(found.root)
        elif top is not None:
            extra = roots.Roots("", roots.extra())
            found.is_extra = top in extra or extra.issuer_of(top) is not None

    def _look_behind(self, decider: Decider) -> None:
        """Causes that lie not in the chain but in what decided."""
        store = decider.store
        system = next((it.answer for it in self.opinions if it.decider.key == "system-store"), None)
        if store is not None and store.from_environment:
            facts = [f"{store.describe()} decides, not the system store", *store.problems]
            if system is not None and system.trusted:
                facts.append("the system store accepts this chain")
            self.other_causes += [("trust-variable", fact) for fact in facts]
        elif store is not None and not store and decider.verifier is None and not len(decider.roots):
            self.other_causes += [("no-store", fact) for fact in (store.describe(), *store.problems)]

    # ---- JSON -------------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """As documented in docs/reference/command-line.md."""
        chain = self.chain
        return {
            "schema": SCHEMA,
            "subject": self.subject,
            "server_name": self.server_name,
            "trusted": self.trusted,
            "reason": self.topic,
            "error": self.error,
            "verify_code": self.verify_code,
            "native_code": self.native_code,
            "decided_by": self.decided_by,
            "causes": self._causes_as_json(),
            "hint": self._hint(),
            "documentation": _explain.documentation(self.topic) if self.topic else None,
            "connection": self.connection or None,
            "inspection": _inspection_as_json(self.inspection),
            "chain": [] if chain is None else [_link_as_json(link, chain) for link in chain.path],
            "unused": [] if chain is None else [_unused_as_json(chain, position) for position in chain.unused],
            "missing_issuer": str(chain.missing) if chain is not None and chain.missing is not None else None,
            "opinions": [_opinion_as_json(opinion) for opinion in self.opinions],
            "remarks": self.remarks,
        }

    def _causes_as_json(self) -> list[dict[str, object]]:
        causes: list[dict[str, object]] = [
            {"reason": it.reason.value, "message": it.message, "facts": it.facts, "proof": it.proof or None}
            for it in self.objections
        ]
        for topic in dict.fromkeys(topic for topic, _ in self.other_causes):
            facts = [fact for which, fact in self.other_causes if which == topic]
            causes.append({"reason": topic, "message": _explain.TOPICS[topic].cause, "facts": facts, "proof": None})
        return causes

    def _hint(self) -> str | None:
        """The one thing to do first."""
        if self.topic is None:
            return None
        for topic, _ in self.other_causes:
            return _explain.TOPICS[topic].hint
        if self.inspection is not None and self.inspection.product is not None and self._is_untrusted():
            return f"{_explain.TOPICS['inspection'].hint}. To add it: {roots.how_to_add()}"
        hint = _explain.TOPICS[self.topic].hint
        if self.topic in (Reason.UNKNOWN_ISSUER.value, Reason.UNTRUSTED_ROOT.value):
            hint += f". To add it: {roots.how_to_add()}"
        return hint

    def _is_untrusted(self) -> bool:
        return self.topic in [reason.value for reason in (Reason.UNKNOWN_ISSUER, Reason.UNTRUSTED_ROOT)]

    # ---- text -------------------------------------------------------------------------------------------------------

    def print_on(self, paper: Paper) -> None:
        """As a person reads it: the verdict first, then why, then what was seen."""
        verdict, style = {True: ("trusted", "good"), False: ("NOT TRUSTED", "bad"), None: ("no verdict", "warn")}[
            self.trusted
        ]
        name = f" as {self.server_name}" if self.server_name and not self.subject.startswith(self.server_name) else ""
        paper.line(paper.styled(self.subject + name, "strong") + ":", paper.styled(verdict, style))
        if self.decided_by:
            paper.field("decided by", self.decided_by)
        self._print_connection(paper)
        self._print_causes(paper)
        self._print_inspection(paper)
        self._print_chain(paper)
        self._print_opinions(paper)
        for remark in self.remarks:
            paper.field("remark", remark, "faint")

    def _print_connection(self, paper: Paper) -> None:
        seen = [str(value) for value in self.connection.values() if value]
        if seen:
            paper.field("connection", ", ".join(seen))

    def _print_causes(self, paper: Paper) -> None:
        if self.topic is None:
            return
        code = f" (verify code {self.verify_code})" if self.verify_code is not None else ""
        native = f" (native code {self.native_code:#x})" if self.native_code is not None else ""
        paper.line()
        paper.field("error", f"{self.error}{code}{native}", "bad")
        if not self.objections:
            paper.field("cause", _explain.TOPICS[self.topic].cause)
        for number, objection in enumerate(self.objections):
            topic = _explain.TOPICS[objection.reason.value]
            paper.field("cause" if number == 0 else "also", f"{topic.cause} [{objection.reason.value}]")
            for fact in objection.facts:
                paper.note(fact)
            if objection.proof:
                paper.note(f"proof: {objection.proof}")
        for topic_word in dict.fromkeys(word for word, _ in self.other_causes):
            paper.field("because", f"{_explain.TOPICS[topic_word].cause} [{topic_word}]")
            for word, fact in self.other_causes:
                if word == topic_word:
                    paper.note(fact)
        paper.field("hint", self._hint() or "")
        place = _explain.documentation(self.topic)
        paper.field("see", f'the documentation: "{_explain.PAGE_TITLE}", {place}')

    def _print_inspection(self, paper: Paper) -> None:
        found = self.inspection
        if found is None:
            return
        paper.line()
        if found.product is not None:
            paper.field("inspection", f"this connection is intercepted by: {found.by}", "warn")
            paper.note(f"certificates of {found.product.name} bear this name ({found.product.kind})")
            paper.note(f"its root {found.where_its_root_is()}")
        else:
            paper.field("private CA", found.by, "warn")
            paper.note(f"its root {found.where_its_root_is()}")
            paper.note(f"its root is not in {found.bundle}: somebody's own CA issued this certificate")
            paper.note("for a public host this means an inspection; for a company's own host it is normal")
        if found.local_file is not None:
            paper.note(f"the administrator of this computer added it: {found.local_file}")

    def _print_chain(self, paper: Paper) -> None:
        chain = self.chain
        if chain is None or not chain.sent:
            return
        paper.heading(f"chain ({len(chain.sent)} sent)")
        for link in chain.path:
            self._print_link(paper, link)
        if chain.missing is not None:
            paper.line(f"  {paper.styled('?', 'bad')}  {paper.styled(str(chain.missing), 'bad')}")
            paper.line("     not sent, and not in the store that decides")
        for position in chain.unused:
            certificate = chain.certificates[position]
            what = str(certificate.subject) if certificate is not None else "a certificate that cannot be read"
            paper.line(f"  {position}  {paper.styled(what, 'faint')}")
            paper.line("     sent, but not part of the chain")
        if not chain.in_order:
            paper.line("  the server sends its certificates in the wrong order; OpenSSL does not mind, others do")

    def _print_link(self, paper: Paper, link: Link) -> None:
        certificate = link.certificate
        place = "-" if link.position is None else str(link.position)
        paper.line(f"  {place}  {paper.styled(str(certificate.subject), 'strong')}")
        rows = []
        if link.position == 0:
            rows.append(("names", _shortened(certificate.names()) or "none"))
        rows.append(("valid", _validity(certificate)))
        rows.append(("key", f"{certificate.key.name}, signed by {certificate.signature}"))
        if not certificate.self_issued:
            rows.append(("issued by", str(certificate.issuer)))
        if link.position is None:
            rows.append(("", "not sent: a root of the store that decides"))
        for label, text in rows:
            paper.field(label, text, indent=5, width=10)

    def _print_opinions(self, paper: Paper) -> None:
        if not self.opinions:
            return
        paper.heading("who would trust it")
        words = {True: ("yes", "good"), False: ("no", "bad"), None: ("?", "warn")}
        for opinion in self.opinions:
            word, style = words[opinion.answer.trusted]
            paper.line(f"  {_LABELS[opinion.decider.key]:<12}", paper.styled(word, style))
            paper.note(opinion.why)
            paper.note(f"with {opinion.decider.name}")


_LABELS = {
    "this-python": "this Python",
    "stock-python": "stock Python",
    "certifi": "certifi",
    "system-store": "system store",
}


def _with_crl(assumptions: _oracle.Assumptions, crl: str) -> _oracle.Assumptions:
    """`assumptions`, and the leaf must not be in the revocation list in the PEM file `crl`."""
    before = assumptions.load

    def load(context: ssl.SSLContext) -> None:
        before(context)
        context.load_verify_locations(cafile=crl)

    return assumptions.but(load=load, flags=assumptions.flags | _oracle.CRL_CHECK_LEAF)


def _why(decider: Decider, answer: Answer, chain: Chain) -> str:
    """Why `decider` says what it says, in one sentence."""
    if answer.trusted is None:
        return f"no verdict: {answer.message}"
    own = Chain(chain.sent, decider.roots)
    root = own.top if own.top is not None and own.top in decider.roots else None
    known = f"the root {root.subject} is one of its roots ({len(decider.roots)})" if root is not None else ""
    if answer.trusted:
        return known or "it accepts the chain"
    reason = answer.reason.value if answer.reason is not None else "other"
    if root is None and own.top is not None:
        end = own.top.subject if own.top.self_issued else own.top.issuer
        return f"{reason}: {end} is none of its roots ({len(decider.roots)})"
    return f"{reason}: {answer.message}" + (f" ({known})" if known else "")


def _validity(certificate: Certificate) -> str:
    first, last = certificate.not_before, certificate.not_after
    return f"{_explain.moment(first)} to {_explain.moment(last)}"


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _link_as_json(link: Link, chain: Chain) -> dict[str, object]:
    certificate = link.certificate
    return {"position": link.position, **certificate_as_json(certificate)}


def _unused_as_json(chain: Chain, position: int) -> dict[str, object]:
    certificate = chain.certificates[position]
    found = certificate_as_json(certificate) if certificate is not None else {"unreadable": True}
    return {"position": position, **found}


def certificate_as_json(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": str(certificate.subject),
        "issuer": str(certificate.issuer),
        "serial": certificate.serial,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "dns_names": certificate.dns_names,
        "ip_addresses": certificate.ip_addresses,
        "key": certificate.key.name,
        "signature": certificate.signature,
        "ca": bool(certificate.is_ca),
        "ca_issuers": certificate.ca_issuers,
        "crl": certificate.crl_urls,
        "sha256": certificate.sha256,
    }


def _inspection_as_json(found: Inspection | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "product": found.product.name if found.product is not None else None,
        "kind": found.product.kind if found.product is not None else None,
        "by": found.by,
        "root_in_system_store": found.root is not None,
        "local_file": found.local_file,
    }


def _opinion_as_json(opinion: Opinion) -> dict[str, object]:
    answer = opinion.answer
    return {
        "who": opinion.decider.key,
        "with": opinion.decider.name,
        "roots": len(opinion.decider.roots),
        "trusted": answer.trusted,
        "reason": answer.reason.value if answer.reason is not None else None,
        "verify_code": answer.verify_code,
        "why": opinion.why,
    }


def chain_in(path: str) -> list[bytes]:
    """The DER certificates in a file, PEM or DER; `-` is stdin. Raises `OSError` if it cannot be read."""
    if path != "-":
        return roots.certificates_in(path)
    import sys

    content = sys.stdin.buffer.read()
    return list(_pem.certificates(content)) or _pem.der_certificates(content)
