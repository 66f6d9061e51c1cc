"""What the real provider serves: the library's own pages, and a way to sign a browser in."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):  # type: ignore[misc]
    """Tells of people what their entry says."""

    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        people = json.loads(settings.PEOPLE.read_text())
        return dict(people[request.user.get_username()])


def sign_in(request: HttpRequest, name: str) -> HttpResponse:
    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("signed in")


urlpatterns = [
    path("login/<str:name>", sign_in),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
