"""The report: every link and picture is there, it filters, draws and answers in a browser."""

import json
import shutil
import subprocess
import warnings
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from ledger_records import record as make

from aae_jax import rundir, zoo
from aae_jax.errors import UserError
from aae_jax.logs import Log
from experiments.harness import ledger, report

ROOT = Path(__file__).resolve().parents[3]
MODEL = "label_informed_aae/mixture"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

LOOK = (Path(__file__).parent / "look.html").read_text()


class Links(HTMLParser):
    """What a page refers to, and the text of its scripts of data."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.targets, self.data, self._in_data = path, [], [], False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.targets += [given[name] for name in ("href", "src") if given.get(name)]
        self._in_data = tag == "script" and given.get("type") == "application/json"
        if tag in ("a", "img", "link", "script") and not self._in_data:
            assert given.get("href") or given.get("src"), (self.path, tag)

    def handle_data(self, text):
        if self._in_data:
            self.data.append(json.loads(text))
            self._in_data = False


def broken_links(folder):
    """Links, pictures and sprites of all pages that are not in the folder."""
    bad = []
    for path in folder.rglob("*.html"):
        page = Links(path)
        sprites = [sprite for data in page.data for sprite in data.get("sprites", ())]
        for target in [*page.targets, *sprites]:
            if target.startswith("data:"):
                continue
            inside = (path.parent / unquote(target.partition("#")[0])).resolve()
            if not inside.is_file() or not inside.is_relative_to(folder.resolve()):
                bad.append((path.name, target))
    return bad


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """The report of the tracked ledgers and of one run, which is the zoo's."""
    monkeypatch.setenv("AAE_JAX_RESULTS_DIR", str(ROOT / "results"))
    monkeypatch.setattr(zoo, "names", lambda: [MODEL])
    record = zoo.about(MODEL)["record"]
    run = tmp_path / "runs/aae_fig4/mixture-fast"
    for seed in record["seeds"]:
        log = Log(run / f"seed_{seed}", seed)
        log.cut_off(0)
        for step in range(1, 700):
            log.write(step, step, {"test_error_percent": 50.0 / step})
        log.close()
    rundir.write_json(run / "record.json", record)
    shutil.copy(ROOT / "docs/images/mnist_fig4_mixture.png", run / "code_space.png")
    return report.write(tmp_path / "report").parent


def test_the_report_of_all_ledgers_is_whole(whole, tmp_path):
    assert broken_links(whole) == []
    everything = "".join(
        path.read_text() for path in whole.rglob("*") if path.suffix in (".html", ".js", ".css")
    )
    assert (
        'src="http' not in everything
        and "@import" not in everything
        and "url(http" not in everything
    )
    index = (whole / "index.html").read_text()
    for path in (ROOT / "results").glob("*.jsonl"):
        record = ledger.read(path)[-1]
        name = f"rows/{record['experiment']}-{record['row']}-{record['profile']}"
        assert name in index or record["overrides"], name
    assert (
        index.index("AAE, table 1") < index.index("AAE, table 2") < index.index("PixelGAN, table 1")
    )
    page = whole / "rows/aae_fig4-mixture-fast.html"
    text = page.read_text()
    (data,) = Links(page).data
    assert {len(points) for points in data["series"]["test_error_percent"].values()} == {233}
    assert data["series"]["test_error_percent"]["0"][-1] == [699, pytest.approx(50 / 699, rel=1e-4)]
    assert "make reproduce-fig4-aae PROFILE=fast ROWS=mixture SEEDS=3" in text
    assert f"aae_jax.load(&quot;{MODEL}&quot;)" in text
    assert "../images/aae_fig4-mixture-fast-code_space.png" in text
    assert "discriminator_hidden" in text
    in_a_browser(whole, tmp_path)


def in_a_browser(whole, tmp_path):
    if BROWSER is None:
        warnings.warn("no Chromium here: the report was parsed, not opened", stacklevel=1)
        return
    names = [str(path) for path in sorted(whole.rglob("*.html")) if path.parent.name != "rows"]
    names.append(str(whole / "rows/aae_fig4-mixture-fast.html"))
    pages = [{"url": f"file://{name}"} for name in names]
    pages.append(
        {"url": f"file://{whole}/index.html?", "search": "aae mnist 1000 test error table 2"}
    )
    (tmp_path / "look.html").write_text(LOOK.replace("PAGES", json.dumps(pages)))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-web-security",
               "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'browser'}",
               "--timeout=90000", "--virtual-time-budget=60000", "--dump-dom",
               f"file://{tmp_path / 'look.html'}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    text = done.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
    assert text, done.stderr[-2000:]
    seen = json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert len(seen) == len(pages)
    for page in seen:
        assert (page["errors"], page["broken"], page["overflow"]) == ([], [], 0), page["url"]
    by_name = {page["url"].rpartition("/")[2]: page for page in seen}
    filtered = by_name["index.html?"]["rows"]
    assert 0 < len(filtered) < len(by_name["index.html"]["rows"]) / 4
    assert any("1000 labels" in row for row in filtered)
    curve = by_name["aae_fig4-mixture-fast.html"]
    manifold = next(p for p in seen if p["places"])
    assert manifold["places"][0] != manifold["places"][1]
    assert "aae_fig4-mixture-fast-0.png" in manifold["places"][0]
    assert {page["lines"] for page in seen if page["lines"]} == {3} and "manifolds" in manifold[
        "url"
    ]
    assert curve is manifold or "seed 2" in curve["legend"]


def test_a_user_s_own_runs_give_the_same_pages(tmp_path):
    run = tmp_path / "runs/aae_table2/mnist_100-smoke"
    run.mkdir(parents=True)
    own = make(overrides={"model.hidden": [6, 6]}, profile="smoke", dataset="digits")
    rundir.write_json(run / "record.json", own)
    ledger.append(make(experiment="mine", row="first <row>"), tmp_path / "runs")
    report.main([str(tmp_path / "runs"), "--to", str(tmp_path / "out")])
    report.main([str(tmp_path / "runs"), "--to", str(tmp_path / "out")])  # made anew
    out = tmp_path / "out"
    assert broken_links(out) == []
    index = (out / "index.html").read_text()
    assert (
        "Other records" in index
        and "first &lt;row&gt;" in index
        and "not run" not in index.partition("<table")[2]
    )
    page = next(out.glob("rows/aae_table2-*-smoke-*.html")).read_text()
    assert "ARGS=&#x27;--config.model.hidden=" in page
    assert "No log of its training is here" in page


def test_what_cannot_be_reported_is_one_sentence(tmp_path):
    def refused(message, *sources, to=tmp_path / "out"):
        with pytest.raises(UserError, match=message) as caught:
            report.write(to, sources)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.glob(".out*"))

    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    refused("no ledger .*and no finished run there, so there is nothing to report", empty)
    refused("nowhere is no directory", tmp_path / "nowhere")
    (broken / "aae_table2.jsonl").write_text("{\n")
    refused("line 1: not JSON: mend or remove the line", broken)
    (broken / "aae_table2.jsonl").unlink()
    (broken / "record.json").write_text("{}")
    refused("broken/record.json is no record .it has no 'experiment'.: run its command", broken)
    (empty / "mine.txt").write_text("mine")
    refused("empty is not empty and holds no report: choose another folder", broken, to=empty)
    assert (empty / "mine.txt").exists()
