"""What the pages say: links lead somewhere, tables are whole, and what they quote of the code it says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from page_messages import is_said

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, check=True, capture_output=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def anchors(page: Path) -> set[str]:
    """Those that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def test_links_lead_somewhere():
    readme = ROOT / "README.md"
    assert leads_somewhere(readme, "CONTRIBUTING.md")
    assert not leads_somewhere(readme, "CONTRIBUTING.txt")
    assert not leads_somewhere(readme, "CONTRIBUTING.md#nowhere")
    links = [
        (ROOT / name, link)
        for name in pages()
        for link in LINK.findall((ROOT / name).read_text(encoding="utf-8"))
        if not re.match(r"https?:|mailto:", link)
    ]
    assert [(page.name, link) for page, link in links if not leads_somewhere(page, link)] == []


def cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row.strip())) - 1


def torn_tables(text: str) -> list[str]:
    """First rows of what GitHub takes for no table, and rows that have not as many cells as the first."""
    torn = []
    for table in re.findall(
        r"(?:^\|.*(?:\n|\Z))+", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M
    ):
        first, *others = table.splitlines()
        if not others or not re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", others[0]):
            torn.append(first)
        torn += [row for row in others if cells(row) != cells(first) or not row.rstrip().endswith("|")]
    return torn


def test_tables_are_whole():
    whole = "| a | b |\n| --- | --- |\n| 1 | 2 \\| 3 |\n"
    assert torn_tables(whole) == []
    assert torn_tables(f"{whole}\n| 4 | 5 |\n") == ["| 4 | 5 |"]
    assert torn_tables(f"{whole}| 4 | 5 | 6 |\n| 7 | 8") == ["| 4 | 5 | 6 |", "| 7 | 8"]
    assert {name: torn for name in pages() if (torn := torn_tables((ROOT / name).read_text("utf-8")))} == {}


def quoted_messages(name: str) -> list[str]:
    """What a page says that the pack says: quotations in the tables of troubleshooting, errors everywhere."""
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(r'"(Expected [^"\n]+)"', text)
    for table in re.findall(r"^\| you see \| cause \| fix \|\n(?:\|.*\n)+", text, re.M):
        for row in table.splitlines():
            found += re.findall(r'"([^"]+)"', row.split("|")[1])
    return list(dict.fromkeys(found))


def test_what_pages_quote_of_the_code_it_says():
    assert is_said("Expected a model without a patch of tokens (post_input)")
    assert not is_said("Expected a model without a patch of the image's tokens (post_input)")
    quoted = {name: quoted_messages(name) for name in pages()}
    assert len(quoted["docs/troubleshooting.md"]) > 25
    wrong = [(name, each) for name, several in quoted.items() for each in several if not is_said(each)]
    assert wrong == []


def test_the_readme_names_every_node_and_stays_short():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 100
    nodes = json.loads((ROOT / "locales/en/nodeDefs.json").read_text(encoding="utf-8"))
    for node in nodes.values():
        assert f"| **{node['display_name']}** |" in readme
