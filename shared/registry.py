"""The papers and their claims, read from notebooks/<topic>/papers.yaml and checked line by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from shared.evidence import Criterion, EvidenceError, parse_criterion

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("replication", "stand-in", "re-analysis")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class RegistryError(ValueError):
    """papers.yaml is not as it should be; the message names file and line."""


@dataclass(frozen=True)
class Claim:
    """One registered claim: what the paper says, how it is measured, what would count."""

    id: str
    says: str
    paper: str
    measure: str
    holds_if: str
    timing: bool = False

    @property
    def criterion(self) -> Criterion:
        """`holds_if`, parsed."""
        return parse_criterion(self.holds_if)


@dataclass(frozen=True)
class Paper:
    """One entry of papers.yaml; the first claim is the headline."""

    id: str
    title: str
    year: int
    arxiv: str | None
    kind: str
    claims: tuple[Claim, ...]
    deviations: tuple[str, ...]
    topic: str
    # Claim id -> one sentence on why it was not reproduced; written after the result.
    diagnosis: Mapping[str, str] = field(default_factory=dict)

    def claim(self, claim_id: str) -> Claim:
        """The claim of that id; KeyError-like RegistryError with a suggestion otherwise."""
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        known = [c.id for c in self.claims]
        raise RegistryError(f"{self.id}: no claim {claim_id!r}{_suggest(claim_id, known)}")

    @property
    def notebook(self) -> Path:
        """The notebook's path relative to the repository root."""
        return Path("notebooks") / self.topic / f"{self.id}.ipynb"


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(sorted(known)[:12]) or 'none'}"


class _Map(dict):
    """A YAML mapping that remembers the line of each key."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class _Reader:
    """Checks one papers.yaml; every complaint carries file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topic = path.parent.name

    def fail(self, line: int, message: str) -> RegistryError:
        name = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return RegistryError(f"{name}:{line}: {message}")

    def papers(self) -> list[Paper]:
        try:
            node = yaml.compose(self.path.read_text(encoding="utf8"), Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise self.fail(line, f"not valid YAML: {getattr(error, 'problem', error)}") from None
        entries = self.plain(node) if node is not None else []
        if not isinstance(entries, list):
            raise self.fail(1, "expected a list of papers, each beginning with `- id:`")
        papers = [self.paper(entry) for entry in entries]
        return papers

    def plain(self, node: yaml.Node) -> object:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(child) for child in node.value]
        if isinstance(node, yaml.MappingNode):
            result = _Map(line)
            for key_node, value_node in node.value:
                key, key_line = str(key_node.value), key_node.start_mark.line + 1
                if key in result:
                    raise self.fail(key_line, f"key {key!r} stands twice")
                result[key] = self.plain(value_node)
                result.lines[key] = key_line
            return result
        if node.tag.endswith(":bool"):
            return node.value.lower() in ("true", "yes", "on")
        if node.tag.endswith(":null"):
            return None
        if node.tag.endswith(":int"):
            return int(node.value)
        return str(node.value)

    def keys(self, entry: object, what: str, required: set[str], optional: set[str]) -> _Map:
        if not isinstance(entry, _Map):
            raise self.fail(1, f"{what}: expected a mapping, got {entry!r}")
        for key, line in entry.lines.items():
            if key not in required | optional:
                hint = _suggest(key, sorted(required | optional))
                raise self.fail(line, f"{what}: unknown key {key!r}{hint}")
        if missing := required - entry.keys():
            raise self.fail(entry.line, f"{what}: missing {', '.join(sorted(missing))}")
        for key in required | optional:
            if entry.get(key) in ("", None, []) and key in required:
                raise self.fail(entry.lines[key], f"{what}: {key} is empty")
        return entry

    def identifier(self, entry: _Map, what: str) -> str:
        if not _ID.fullmatch(str(entry["id"])):
            raise self.fail(
                entry.lines["id"], f"{what} id {entry['id']!r} is not lower-case-with-hyphens"
            )
        return str(entry["id"])

    def paper(self, entry: object) -> Paper:
        required = {"id", "title", "year", "kind", "claims"}
        entry = self.keys(entry, "paper", required, {"arxiv", "deviations", "diagnosis"})
        paper_id = self.identifier(entry, "paper")
        if entry["kind"] not in KINDS:
            raise self.fail(
                entry.lines["kind"], f"{paper_id}: kind {entry['kind']!r} is not one of {KINDS}"
            )
        if not isinstance(entry["year"], int):
            raise self.fail(entry.lines["year"], f"{paper_id}: year {entry['year']!r} is no number")
        deviations = entry.get("deviations") or []
        if not isinstance(deviations, list) or not all(isinstance(d, str) for d in deviations):
            raise self.fail(entry.lines["deviations"], f"{paper_id}: deviations is a list of texts")
        if not isinstance(entry["claims"], list):
            raise self.fail(entry.lines["claims"], f"{paper_id}: claims is a list")
        claims = [self.claim(paper_id, claim) for claim in entry["claims"]]
        ids = [claim.id for claim in claims]
        if doubled := {i for i in ids if ids.count(i) > 1}:
            line = entry.lines["claims"]
            raise self.fail(line, f"{paper_id}: claim id {doubled.pop()!r} stands twice")
        diagnosis = entry.get("diagnosis") or _Map(0)
        if not isinstance(diagnosis, _Map):
            raise self.fail(entry.lines["diagnosis"], f"{paper_id}: diagnosis maps claims to texts")
        for key, why in diagnosis.items():
            if key not in ids or not isinstance(why, str):
                hint = _suggest(key, ids) if key not in ids else ": expected a text"
                raise self.fail(diagnosis.lines[key], f"{paper_id}: diagnosis of {key!r}{hint}")
        return Paper(
            diagnosis=dict(diagnosis),
            id=paper_id,
            title=entry["title"],
            year=entry["year"],
            arxiv=entry.get("arxiv"),
            kind=entry["kind"],
            claims=tuple(claims),
            deviations=tuple(deviations),
            topic=self.topic,
        )

    def claim(self, paper_id: str, entry: object) -> Claim:
        required = {"id", "says", "paper", "measure", "holds_if"}
        entry = self.keys(entry, f"{paper_id}: claim", required, {"timing"})
        claim_id = self.identifier(entry, f"{paper_id}: claim")
        if not isinstance(entry.get("timing", False), bool):
            raise self.fail(entry.lines["timing"], f"{paper_id}: timing is true or false")
        try:
            parse_criterion(entry["holds_if"])
        except EvidenceError as error:
            raise self.fail(entry.lines["holds_if"], f"{paper_id}/{claim_id}: {error}") from None
        return Claim(
            id=claim_id,
            says=str(entry["says"]),
            paper=str(entry["paper"]),
            measure=str(entry["measure"]),
            holds_if=str(entry["holds_if"]),
            timing=entry.get("timing", False),
        )


def read(path: Path) -> list[Paper]:
    """The papers of one papers.yaml; RegistryError names file and line of what is wrong."""
    papers = _Reader(path).papers()
    _no_doubles(papers)
    return papers


def _no_doubles(papers: list[Paper]) -> None:
    seen: dict[str, Paper] = {}
    for paper in papers:
        if paper.id in seen:
            raise RegistryError(
                f"notebooks/{paper.topic}/papers.yaml: paper id {paper.id!r} stands twice "
                f"(also in notebooks/{seen[paper.id].topic}/papers.yaml)"
            )
        seen[paper.id] = paper


def load(root: Path = ROOT) -> list[Paper]:
    """Every registered paper, by topic and then in the order of its file."""
    papers = [p for path in sorted(root.glob("notebooks/*/papers.yaml")) for p in read(path)]
    _no_doubles(papers)
    return papers


def find(paper_id: str, root: Path = ROOT) -> Paper:
    """The registered paper of that id; RegistryError with the nearest id otherwise."""
    paths = sorted(root.glob("notebooks/*/papers.yaml"))
    # Reading one file of many keeps a notebook's start fast when hundreds are registered.
    marked = [
        p for p in paths if re.search(rf"id: *['\"]?{re.escape(paper_id)}\b", p.read_text("utf8"))
    ]
    for path in marked:
        for paper in read(path):
            if paper.id == paper_id:
                return paper
    known = [paper.id for paper in load(root)]
    raise RegistryError(f"no such paper: {paper_id!r}{_suggest(paper_id, known)}")
