"""The pages that links in mails open: they send what stands behind the # of their address, when somebody says so.

A GET uses up nothing: mail servers and virus scanners open every link before its reader does.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from services.gateway.route import V1

_SCRIPT = """
const form = document.forms[0], told = document.querySelector("output");
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
if (!token) { form.hidden = true; told.value = "This link is not whole: open it again from where you have it."; }
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button"), body = Object.fromEntries(new FormData(form));
  body[form.dataset.token] = token;
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify(body)});
    if (answer.ok) { form.hidden = true; told.value = form.dataset.done; return; }
    const {error} = await answer.json();
    told.value = error.details?.reason ?? error.message;
  } catch { told.value = "Pager does not answer: try again in a moment."; }
  button.disabled = false;
});
"""
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 10vh auto; padding: 0 1rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
h1 { font-size: 1.5rem; } small { display: block; } input { margin-bottom: 1rem; padding: .5rem; }
button { padding: .6rem; margin-top: 1rem; }
"""


def _allowed(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; script-src {_allowed(_SCRIPT)}; style-src {_allowed(_STYLE)}; connect-src 'self'; "
    "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_TO_CHOOSE = 'type="password" autocomplete="new-password" minlength="12" required aria-describedby="rules"'
_RULES = "At least 12 characters, among them a lower-case and an upper-case letter, a number and a symbol."


def _page(title: str, path: str, token: str, fields: dict[str, tuple[str, str]], button: str, done: str) -> Response:
    """`fields`: by their names in the body, the label and the attributes of each; `token`: the name of the link's."""
    inputs = "".join(
        f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" {attributes}>'
        for name, (label, attributes) in fields.items()
    )
    rules = f'<small id="rules">{_RULES}</small>' if "rules" in inputs else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<form action="{V1}{path}" data-token="{token}" data-done="{escape(done)}">{inputs}{rules}'
        f"<button>{escape(button)}</button></form><p><output></output></p><script>{_SCRIPT}</script></body></html>",
        headers={"Content-Security-Policy": _POLICY},
    )


def without_app() -> Response:
    """In the place of the app where none was built: everything else works."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pager</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><h1>Open it in the app</h1>"
        "<p>Incidents are shown by the Pager app on your phone. This server has none for browsers: whoever runs it"
        " makes it with <code>make app</code> where its sources are, and starts it again.</p>"
        f'<p>Programs read incidents at <a href="/api/docs">{V1}/incidents</a>.</p></body></html>',
        404,
        headers={"Content-Security-Policy": _POLICY},
    )


def register() -> Response:
    """What an invite's link opens where there is no app, which has a screen for it."""
    names = {"firstName": ("First name", "required maxlength=100"), "lastName": ("Last name", "required maxlength=100")}
    return _page(
        "Join Pager",
        "/auth/register",
        "inviteToken",
        names | {"password": ("Password", _TO_CHOOSE)},
        "Make my account",
        "You have an account. Sign in with your address and password.",
    )


router = APIRouter(prefix="/app", include_in_schema=False)


@router.get("/reset")
async def reset() -> Response:
    return _page(
        "Choose another password",
        "/auth/password/reset",
        "token",
        {"newPassword": ("New password", _TO_CHOOSE)},
        "Take this one",
        "You have another password, and are signed out everywhere. Sign in with it.",
    )


@router.get("/verify")
async def verify() -> Response:
    return _page(
        "Is this your address?", "/auth/email/verify", "token", {}, "It is mine", "Thank you. You can close this page."
    )
