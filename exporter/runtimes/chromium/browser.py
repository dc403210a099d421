"""One Chromium for all rows of a parity run, driven through Playwright.

Owns the browser's process and its pages. Playwright runs on an event loop in a thread of its own,
so that it works wherever the caller is: in a plain program, under pytest, in a notebook whose own
loop is running. May import `exporter.browser` and `exporter.errors`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.browser import FLAGS
from exporter.errors import RuntimeCrashed, UnsupportedModel

if TYPE_CHECKING:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import Page as PlaywrightPage

START_SECONDS = 60.0
CLOSE_SECONDS = 10.0
CONSOLE_CHARACTERS = 2000
"""How much of what a page printed goes into an error."""

_Answer = TypeVar("_Answer")


class Browser:
    """A running Chromium with a profile of its own, which is removed with it.

    Raises:
        RuntimeCrashed: It does not start.
    """

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._started: Future[PlaywrightBrowser] = Future()
        self._thread = threading.Thread(target=self._run, name="chromium", daemon=True)
        self._thread.start()
        try:
            self._browser = self._started.result(START_SECONDS + CLOSE_SECONDS)
        except Exception as error:  # Playwright's, or the system's, by the way it does not start
            raise RuntimeCrashed(
                f"{executable}: does not start: {_one_line(error)}; run it by hand to see why"
            ) from error

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        """Start, wait until `close`, end. All of Playwright happens inside."""
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        try:
            from playwright.async_api import async_playwright

            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=self._executable,
                    args=list(FLAGS),
                    timeout=1e3 * START_SECONDS,
                )
                # One profile for all pages, in which one stays open: a new profile, or the last
                # page closed, costs each page most of a second of processor time. Nothing of a
                # profile is used: each page's addresses are its own, and nothing is cached.
                self._profile = await browser.new_context()
                await self._profile.new_page()
                self._started.set_result(browser)
                await self._closing.wait()
                await browser.close()
        except Exception as error:  # carried over to the thread that asked
            if self._started.done():
                raise
            self._started.set_exception(error)

    @property
    def alive(self) -> bool:
        """Whether pages can be opened."""
        return self._browser.is_connected()

    def open_page(self, url: str) -> Page:
        """A new page, loaded.

        Raises:
            RuntimeCrashed: It cannot be loaded.
        """
        return Page(self, url)

    def run(self, job: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Wait for a job on the browser's loop; the job has its own time limit."""
        return asyncio.run_coroutine_threadsafe(job, self._loop).result()

    async def new_page(self) -> PlaywrightPage:
        """For `Page`, on the browser's loop."""
        return await self._profile.new_page()

    def close(self) -> None:
        """End the browser with all its pages."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()


class Page:
    """One page, with what it printed."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._printed: list[str] = []
        browser.run(self._open(url))

    async def _open(self, url: str) -> None:
        from playwright.async_api import Error

        try:
            self._page = await self._browser.new_page()
            self._page.on("console", self._note_console)
            self._page.on("pageerror", lambda error: self._printed.append(str(error)))
            await self._page.goto(url, timeout=1e3 * START_SECONDS)
        except Error as error:
            raise RuntimeCrashed(
                f"chromium: the page cannot be loaded: {_one_line(error)}{self.printed}"
            ) from error

    def _note_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._printed.append(message.text)

    @property
    def printed(self) -> str:
        """Errors and warnings of the page for the end of a message; empty where there are none."""
        text = " ".join(" ".join(self._printed).split())
        return f"; the page printed: {text[-CONSOLE_CHARACTERS:]}" if text else ""

    def call(self, operation: str, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Have the page's host do something.

        Raises:
            RuntimeCrashed: It answered with an error, died, or took longer than `seconds`; the
                page is closed in the last two cases.
            UnsupportedModel: It answered that its runtime does not take this model.
        """
        return self._browser.run(self._call(operation, dict(request), seconds))

    async def _call(
        self, operation: str, request: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        from playwright.async_api import Error

        script = "([operation, request]) => host(operation, request)"
        try:
            answer = await asyncio.wait_for(
                self._page.evaluate(script, [operation, request]), seconds
            )
        except TimeoutError:
            await self._close()
            raise RuntimeCrashed(
                f"chromium: {operation} took more than {seconds:g} s and was ended{self.printed}"
            ) from None
        except Error as error:
            await self._close()
            raise RuntimeCrashed(
                f"chromium: {operation}: {_one_line(error)}{self.printed}"
            ) from error
        if "error" in answer:
            said = " ".join(str(answer["error"]).split())
            if answer["name"] == UnsupportedModel.__name__:
                raise UnsupportedModel(said)
            raise RuntimeCrashed(f"{said}{self.printed}")
        return answer

    def close(self) -> None:
        """Close the page, whatever it is doing."""
        self._browser.run(self._close())

    async def _close(self) -> None:
        from playwright.async_api import Error

        try:
            await asyncio.wait_for(self._page.close(), CLOSE_SECONDS)
        except (Error, TimeoutError):
            # Gone already, or beyond reach: then it ends with its browser.
            return


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
