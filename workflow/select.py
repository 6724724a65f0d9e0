"""Which studies a command is about: by id, by topic, or all that have a notebook."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared import registry
from shared.registry import Paper, RegistryError
from workflow.notebook import ROOT, NotebookError


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add --id (comma-separated) and --topic."""
    parser.add_argument("--id", default="", help="paper id, or several separated by commas")
    parser.add_argument("--topic", default="", help="all studies of one topic")


def selected(args: argparse.Namespace, root: Path = ROOT) -> list[Paper]:
    """The chosen papers that have a notebook; exits with the reason when there is none."""
    try:
        return choose(args.id, args.topic, root)
    except (RegistryError, NotebookError) as error:
        sys.exit(f"error: {error}")


def choose(ids: str = "", topic: str = "", root: Path = ROOT) -> list[Paper]:
    """As `selected`, raising RegistryError for unknown names and NotebookError for no notebook."""
    if ids:
        papers = [registry.find(i.strip(), root) for i in ids.split(",") if i.strip()]
        for paper in papers:
            if not (root / paper.notebook).exists():
                raise NotebookError(
                    f"{paper.id} is registered but has no notebook yet; `make new ID={paper.id}`"
                )
        return papers
    papers = registry.load(root)
    if topic:
        topics = sorted({p.topic for p in papers})
        if topic not in topics:
            raise RegistryError(f"no such topic: {topic!r}; known: {', '.join(topics)}")
        papers = [p for p in papers if p.topic == topic]
    return [p for p in papers if (root / p.notebook).exists()]
