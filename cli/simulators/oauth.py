"""The OAuth2 token door: a signed service-account assertion in, a bearer token out.

RFC 7523; developers.google.com, "Using OAuth 2.0 for server to server applications".
Access tokens carry their expiry and a MAC, so that they outlive a restart of the simulator as Google's would.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from cli.simulators.messages import Request, Responder

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# google-auth puts this audience into every assertion, whatever `token_uri` the credentials name.
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600  # s, of an access token and at most of an assertion
CLOCK_SKEW = 60  # s
_REMEMBERED = 10_000
_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]


class Refused(Exception):
    """The token request is not acceptable; args are the OAuth error code and its description."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description


class TokenDoor:
    """`POST /token`; also the judge of the bearer tokens it gave out. `clock` gives Unix seconds."""

    def __init__(
        self, key: RSAKey, client_email: str, secret: bytes, audiences: set[str], clock: Callable[[], float]
    ) -> None:
        self._key = key
        self._client_email = client_email
        self._secret = secret
        self._audiences = {*audiences, GOOGLE_AUDIENCE}
        self._clock = clock
        self._known: dict[str, float] = {}

    def __call__(self, request: Request, responder: Responder) -> None:
        """Answer one token request."""
        if request.method != "POST":
            responder.answer(405, [*_JSON, (b"allow", b"POST")], b'{"error":"invalid_request"}')
            return
        try:
            self._check(request.body)
        except Refused as refusal:
            document = {"error": refusal.code, "error_description": refusal.description}
            responder.answer(400, _JSON, json.dumps(document).encode())
            return
        answer = {"access_token": self.mint(), "expires_in": LIFETIME, "token_type": "Bearer"}
        responder.answer(200, _JSON, json.dumps(answer).encode())

    def mint(self) -> str:
        """A new access token, good for an hour."""
        text = f"ya29.simulator.{int(self._clock()) + LIFETIME}.{secrets.token_hex(8)}"
        return f"{text}.{self._mac(text)}"

    def accepts(self, authorization: str | None) -> bool:
        """Whether an `authorization` header holds a bearer token of ours that has not expired."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        expires = self._known.get(token)
        if expires is None:
            expires = self._expiry(token)
            if expires is None:
                return False
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[token] = expires
        return self._clock() < expires

    def _expiry(self, token: str) -> float | None:
        text, _, mac = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(mac, self._mac(text)):
            return None
        return float(text.split(".")[2])

    def _mac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def _check(self, body: bytes) -> None:
        form = parse_qs(body.decode("utf-8", "replace"))
        if form.get("grant_type") != [GRANT_TYPE]:
            raise Refused("unsupported_grant_type", "Invalid grant_type")
        assertion = form.get("assertion", [""])[0]
        try:
            claims = jwt.decode(assertion, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as fault:
            raise Refused("invalid_grant", "Invalid JWT Signature.") from fault
        if claims.get("iss") != self._client_email:
            raise Refused("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in self._audiences:
            raise Refused("invalid_grant", "Invalid JWT: audience is not this token endpoint")
        if not {SCOPE, CLOUD_SCOPE} & set(str(claims.get("scope", "")).split()):
            raise Refused("invalid_scope", f"The scope {SCOPE} is missing")
        self._check_times(claims.get("iat"), claims.get("exp"))

    def _check_times(self, issued: object, expires: object) -> None:
        now = self._clock()
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise Refused("invalid_grant", "Invalid JWT: iat and exp must be numbers")
        if issued > now + CLOCK_SKEW or expires <= now - CLOCK_SKEW or expires - issued > LIFETIME:
            raise Refused("invalid_grant", "Invalid JWT: iat and exp must span now and at most one hour")
