"""`pager review`: what was written about an incident that is over, and what is to be done so that it stays over."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.naming import ids_in, with_names
from cli.console.output import console, print_json, table
from cli.reach.running import operator_url
from cli.settings import Settings
from libs.chassis.printable import printable_lines

if TYPE_CHECKING:
    from pager_client import AsyncPager
    from pager_client.types import ReviewChange, ReviewView, WantedItem

reviews = typer.Typer(name="review", no_args_is_help=True, help="Reviews of incidents that are over.")

Incident = Annotated[str, typer.Argument(help="Its number, its id, or the beginning of its id.")]
_MOST_NAMES = 50
_LONGEST_FILE = 1024 * 1024


@reviews.command("show")
def show(incident: Incident, as_json: Json = False) -> None:
    """The review of an incident: its text and its action items.

    As the admin of this home, or with PAGER_API_KEY, a key with the scope incidents.read.

    For example: pager review show 17
    """
    _shown(incident, _read, as_json=as_json)


@reviews.command("draft")
def draft(incident: Incident, as_json: Json = False) -> None:
    """Begin a review with what the timeline says; where there is one already it is shown as it is.

    For example: pager review draft 17
    """

    async def begin(api: "AsyncPager", found: str) -> "ReviewView":
        return (await api.draft_review(found))["review"]

    _shown(incident, begin, as_json=as_json)


@reviews.command("change")
def change(
    incident: Incident,
    text: Annotated[Path | None, typer.Option(help="Markdown in the place of the text; - reads what is piped.")] = None,
    add: Annotated[list[str] | None, typer.Option(metavar="WHAT", help="A new action item; may be repeated.")] = None,
    done: Annotated[
        list[int] | None, typer.Option(metavar="N", help="This action item is done; may be repeated.")
    ] = None,
    publish: Annotated[
        bool | None, typer.Option("--publish/--withdraw", help="No draft any more, or one again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a review: its text, its action items, whether it is published.

    What somebody else has changed meanwhile is not overwritten.

    For example: pager review change 17 --add "Alert earlier" --done 1 --publish
    """
    written = None if text is None else _text_of(text)
    if written is None and not add and not done and publish is None:
        raise Failure("nothing to change: name --text, --add, --done, --publish or --withdraw", USAGE)

    async def put(api: "AsyncPager", found: str) -> "ReviewView":
        from pager_client import etag

        read = await api.get_review(found)
        body: ReviewChange = {}
        if written is not None:
            body["text"] = written
        if add or done:
            body["actionItems"] = _items(read["review"], add or [], done or [])
        if publish is not None:
            body["published"] = publish
        return (await api.change_review(found, if_match=etag(read), **body))["review"]

    _shown(incident, put, as_json=as_json)


def _items(review: "ReviewView", add: list[str], done: list[int]) -> "list[WantedItem]":
    """All of them, as they are to be. Raises `Failure`: there is no such one."""
    kept: list[WantedItem] = [
        {"id": one["id"], "text": one["text"], "ownerId": one.get("ownerId"), "dueAt": one.get("dueAt"),
         "done": one.get("done", False)}
        for one in review.get("actionItems", [])
    ]  # fmt: skip
    for number in done:
        if not 1 <= number <= len(kept):
            raise Failure(f"--done: there is no action item {number}, but {len(kept)} of them", USAGE)
        kept[number - 1]["done"] = True
    added: list[WantedItem] = [{"text": text} for text in add]
    return kept + added


def _text_of(path: Path) -> str:
    """Raises `Failure`: it cannot be read, or is no text."""
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(_LONGEST_FILE + 1)
        else:
            with path.open("rb") as file:
                content = file.read(_LONGEST_FILE + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"--text: {error}", USAGE) from None
    if len(content) > _LONGEST_FILE or not text.strip():
        raise Failure("--text: is empty, or larger than a review may be", USAGE)
    return text


async def _read(api: "AsyncPager", found: str) -> "ReviewView":
    return (await api.get_review(found))["review"]


def _shown(incident: str, act: "Callable[[AsyncPager, str], Awaitable[ReviewView]]", *, as_json: bool) -> None:
    """Do it, and show the review as it is then. Raises `Failure`."""
    import asyncio

    from cli.stack.speaking import speaking

    settings = Settings.from_environment()

    async def ask() -> tuple[Any, Mapping[UUID, str]]:
        async with speaking(settings) as api:
            review = await act(api, await _id_of(settings, incident))
            return review, {} if as_json else await _names(api, review)

    review, names = asyncio.run(ask())
    if as_json:
        print_json({"review": review})
    else:
        _print(review, names)


async def _id_of(settings: Settings, incident: str) -> str:
    """The id of an incident that is named by its number, or by a part of it: incidents knows. Raises `Failure`."""
    from cli.reach import bus

    try:
        return str(UUID(incident))
    except ValueError:
        pass
    async with bus.connected(operator_url(settings)) as client:
        found = await bus.ask(client, "incidents", "explanation", {"key": incident})
    return str(found["incidentId"])


async def _names(api: "AsyncPager", review: "ReviewView") -> Mapping[UUID, str]:
    """Of whom the review names, as far as the caller may read of people."""
    from pager_client import Refused

    owners = [str(one.get("ownerId")) for one in review.get("actionItems", [])]
    found = {}
    for person in sorted(ids_in([review["text"], *owners, str(review.get("publishedBy"))]))[:_MOST_NAMES]:
        try:
            user = (await api.get_user(person))["user"]
        except Refused:
            continue  # erased, no person, or not for us to know
        found[person] = f"{user['firstName']} {user['lastName']}".strip()
    return found


def _print(review: "ReviewView", names: Mapping[UUID, str]) -> None:
    out = console()
    state = f"published {str(review.get('publishedAt'))[:19]} UTC" if review.get("published") else "a draft"
    out.print(f"review of {review['incidentId']}: {state}, version {review['version']}", style="bold")
    out.print()
    for line in with_names(printable_lines(review["text"]), names.get).split("\n"):
        out.print(line)
    items = review.get("actionItems", [])
    if items:
        rows = [
            (
                str(number),
                "done" if one.get("done") else "open",
                with_names(str(one.get("ownerId") or ""), names.get),
                str(one.get("dueAt") or "")[:10],
                one["text"],
            )
            for number, one in enumerate(items, 1)
        ]
        out.print()
        out.print(table(None, ("no.", "state", "whose", "due (UTC)", "what"), rows))
