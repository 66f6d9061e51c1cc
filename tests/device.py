"""A phone's key, as an app keeps it in the phone's hardware, and the proofs that it signs."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey


@dataclass
class DeviceKey:
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    @property
    def public(self) -> dict[str, Any]:
        """As `deviceKey` has it."""
        return dict(self.key.as_dict(private=False))

    def proof(self, of: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A fresh one; its clock is years behind, as a phone's may be."""
        named = {"typ": "pager-proof+jwt", "alg": "ES256"} | (header or {})
        ath = urlsafe_b64encode(sha256(of.encode()).digest()).rstrip(b"=").decode()
        said = {"aud": "pager", "ath": ath, "jti": str(uuid4()), "iat": 1_000_000_000} | claims
        return jwt.encode(named, {name: value for name, value in said.items() if value is not None}, self.key)

    def use(self, credential: str, method: str, path: str, **claims: Any) -> dict[str, str]:
        """The headers of a request with a device credential; `path` under /api/v1."""
        proof = self.proof(credential, **({"htm": method, "htu": f"/api/v1{path}"} | claims))
        return {"Authorization": f"Bearer {credential}", "Pager-Proof": proof}
