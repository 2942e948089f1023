"""Walks through the pages of a server as a person would: `pages.py WALK ADDRESS [KEY]`.

The walk `train` goes from an upload over a job to answers, in a folder with the files that it uploads; `key` is about a
server that asks for one. The last line of output is `done`. With `SCREENSHOTS=FOLDER` every page is drawn there, too.
"""

import os
import re
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

TRAINING = "training <img src=x>.jsonl"
SYSTEM = "Answer with Positive, Negative or Neutral."
SAD = "the parcel, number 7, was dreadful"
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> lovely"
# 50 epochs of 60 examples, one at a time.
STEPS = 3000
PATIENCE = 120_000


def watched(page: Page, address: str) -> list[str]:
    """What must not happen on any page: errors, and requests to elsewhere."""
    faults: list[str] = []

    def told(message):
        # An answer of 400 is something that the pages show; the browser tells it on its own.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            faults.append(message.text)

    def asked(request):
        if not request.url.startswith((address, "blob:")):
            faults.append(f"a request to {request.url}")

    page.on("console", told)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", asked)
    return faults


def visit(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_focused()


def draw(page: Page, name: str) -> None:
    """Pictures of the page as it is, light, dark and on a phone, where it must not be wider than the screen."""
    size = page.viewport_size
    for look, colours, width in [("light", "light", 1100), ("dark", "dark", 1100), ("phone", "light", 390), ("narrow", "light", 360)]:
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size({"width": width, "height": 844})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
        if "SCREENSHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}-{look}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)


def upload(page: Page) -> None:
    expect(page.get_by_text("No files yet")).to_be_visible()
    draw(page, "data-empty")
    Path("notes.txt").write_text("{}")
    page.get_by_label("Drop files here").set_input_files(["broken.jsonl", "notes.txt", TRAINING, "validation.jsonl"])
    expect(page.get_by_text("3 of 4 files are there")).to_be_visible()
    expect(page.get_by_role("alert").get_by_text("notes.txt: Invalid file format")).to_be_visible()
    expect(page.get_by_role("row", name="validation.jsonl").get_by_text("processed")).to_be_visible()
    # A name is a name, whatever it looks like.
    expect(page.get_by_role("rowheader", name=TRAINING)).to_be_visible()
    expect(page.get_by_role("row", name="broken.jsonl").get_by_text("error", exact=True)).to_be_visible()
    expect(page.get_by_text("(line 3)")).to_be_visible()
    draw(page, "data")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete broken.jsonl").click()
    expect(page.get_by_text("(line 3)")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download validation.jsonl").click()
    assert Path(download.value.path()).read_bytes() == Path("validation.jsonl").read_bytes()


def start_job(page: Page) -> None:
    visit(page, "Jobs")
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.get_by_label("Training file").select_option(label=first_option(page, "Training file", TRAINING))
    page.get_by_label("Validation file").select_option(label=first_option(page, "Validation file", "validation.jsonl"))
    page.get_by_label("Epochs").fill("50")
    page.get_by_label("Batch size").fill("1")
    page.get_by_label("Learning rate").fill("10")
    page.get_by_label("Suffix").fill("not allowed")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_label("Suffix")).to_be_focused()
    page.get_by_label("Suffix").fill("mood")
    page.get_by_label("Seed").fill("1")
    draw(page, "jobs-form")
    page.get_by_label("Seed").press("Enter")
    expect(page.get_by_role("heading", level=1, name="Job")).to_be_visible()


def first_option(page: Page, label: str, beginning: str) -> str:
    options = page.get_by_label(label).locator("option").all_inner_texts()
    return next(option for option in options if option.startswith(beginning))


def step(page: Page) -> int:
    """The last step that the curve of the loss shows; 0 where there is none yet."""
    curve = page.get_by_role("img", name="Loss:")
    return int(curve.get_attribute("aria-label").rsplit(" ", 1)[1]) if curve.count() else 0


def watch_job(page: Page) -> None:
    # The job is stopped as soon as it can be: this walk might be slower than the training.
    page.get_by_role("button", name="Pause").click(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("dd .state")).to_have_text("paused")
    # The step that was being taken may still come.
    page.wait_for_timeout(1500)
    seen = step(page)
    assert seen < STEPS
    page.get_by_role("button", name="Resume").click()
    page.wait_for_function(
        "seen => Number(document.querySelector('figure svg')?.getAttribute('aria-label').split(' ').pop()) > seen",
        arg=seen,
        timeout=PATIENCE,
    )
    draw(page, "job-running")
    expect(page.locator("dd .state")).to_have_text("succeeded", timeout=PATIENCE)
    assert step(page) > seen
    for name in ["Loss: training", "Right answers: training", "Norm of the gradient:", "Learning rate:", "Examples:", "Steps:"]:
        expect(page.get_by_role("img", name=name)).to_be_visible()
    expect(page.get_by_role("img", name="Loss:")).to_have_attribute("aria-label", re.compile(r", validation [\d.e-]+ at"))
    expect(page.get_by_text("The job has successfully completed")).to_be_visible()
    draw(page, "job")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the numbers").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == STEPS + 1


def read_report(page: Page) -> None:
    visit(page, "Models")
    expect(page.get_by_role("rowheader", name="ft:micro:personal:mood:").first).to_be_visible()
    draw(page, "models")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Report").click()
    expect(popup.value.get_by_role("heading").first).to_be_visible()
    popup.value.close()


def play(page: Page) -> None:
    visit(page, "Playground")
    tuned = page.get_by_role("region", name="Compared with")
    expect(tuned.get_by_label("Compared with")).to_have_value(re.compile(r"^ft:micro:personal:mood:\w{8}$"))
    draw(page, "playground-empty")
    page.get_by_label("System message").fill(SYSTEM)
    page.get_by_label("Text", exact=True).fill(SAD)
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Text", exact=True).press("Control+Enter")
    expect(tuned.locator(".answer")).to_have_text("Negative", timeout=PATIENCE)
    shares = [float(share.removesuffix(" %")) for share in tuned.locator(".bars span").all_inner_texts()]
    assert len(shares) == 3 and abs(sum(shares) - 100) < 0.3 and shares == sorted(shares, reverse=True), shares
    tuned.get_by_role("button", name="Why?").click()
    expect(tuned.get_by_text(re.compile(r"^Why Negative \([\d.]+ %\) rather than "))).to_be_visible(timeout=PATIENCE)
    expect(tuned.locator(".explained")).to_have_text(SAD)
    expect(tuned.get_by_role("rowheader", name="dreadful")).to_be_visible()
    draw(page, "playground-why")
    page.get_by_role("button", name="Repeat 10 times").click()
    expect(tuned.get_by_text("Negative, every time")).to_be_visible(timeout=PATIENCE)
    expect(tuned.get_by_text("10 of 10")).to_be_visible()
    page.get_by_role("button", name="Save the text").click()
    page.get_by_label("Text", exact=True).fill(HOSTILE)
    page.get_by_role("button", name="Save the text").click()
    draw(page, "playground")
    page.reload()
    replay(page)


def replay(page: Page) -> None:
    """Saved texts are there after a reload, and can be asked again."""
    expect(page.get_by_label("System message")).to_have_value(SYSTEM)
    page.get_by_label("Temperature").fill("0")
    page.get_by_role("button", name="Ask both models").click()
    expect(page.get_by_role("row", name=SAD).get_by_text("Negative")).to_be_visible(timeout=PATIENCE)
    # What the model makes of the second one nobody knows; it is an answer.
    answer = page.get_by_role("row", name=HOSTILE).get_by_role("cell").last
    expect(answer).to_have_text(re.compile(r"^(Positive|Negative|Neutral) [\d.]+ %$"), timeout=PATIENCE)
    assert page.title() == "Playground · finetone", page.title()
    draw(page, "playground-replay")
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None yet")).to_be_visible()


def watch_traffic(page: Page, address: str) -> None:
    """What the new model was asked in the playground, and a program asks it now."""
    models = page.request.get(f"{address}/v1/models").json()["data"]
    model = next(one["id"] for one in models if one["id"].startswith("ft:") and ":ckpt-" not in one["id"])
    visit(page, "Traffic")
    expect(page.get_by_text("Too few answers")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("the text, the class and how sure")).to_be_visible()
    texts = [f"{HOSTILE} parcel, number {number}" for number in range(60)]
    page.request.post(f"{address}/v1/completions", data={"model": model, "prompt": texts})
    expect(page.get_by_text("The latest")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(re.compile("^The texts have changed"))).to_be_visible()
    for name in ["Answers:", "Classes:", "Confidence:", "Right answers:"]:
        expect(page.get_by_role("img", name=name)).to_be_visible()
    draw(page, "traffic")
    with page.expect_download() as download:
        page.get_by_role("button", name="Texts to label next").click()
    lines = Path(download.value.path()).read_text()
    assert lines.startswith("text,label\n") and "onerror" in lines, lines
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget the record").click()
    expect(page.get_by_text("No answers in the record yet")).to_be_visible()
    draw(page, "traffic-empty")


def train(page: Page, address: str, _: str) -> None:
    page.goto(address)
    expect(page).to_have_url(f"{address}/ui/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    upload(page)
    start_job(page)
    watch_job(page)
    read_report(page)
    play(page)
    watch_traffic(page, address)
    # A page that is not there is the first one; a job that is not there says so.
    page.goto(f"{address}/ui/#job/ftjob-nothing")
    expect(page.get_by_role("alert").get_by_text("Could not find fine tune: ftjob-nothing")).to_be_visible()


def key(page: Page, address: str, key: str) -> None:
    page.goto(address)
    dialog = page.get_by_role("dialog")
    for given in ["sk-finetone-12345678-wrong", key]:
        expect(dialog).to_be_visible()
        dialog.get_by_label("Key").fill(given)
        dialog.get_by_label("Key").press("Enter")
        if given != key:
            expect(dialog.get_by_role("alert")).to_contain_text("Incorrect API key")
            draw(page, "key")
    expect(page.get_by_text("No files yet")).to_be_visible()
    expect(dialog).to_be_hidden()
    page.reload()
    visit(page, "Models")
    expect(page.get_by_role("rowheader", name="micro")).to_be_visible()
    visit(page, "Traffic")
    expect(page.get_by_text("This server keeps no record")).to_be_visible()


def main() -> None:
    walk, address, *rest = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 844})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        faults = watched(page, address)
        {"train": train, "key": key}[walk](page, address, *rest)
        assert not faults, faults
        browser.close()
    print("done")


main()
