"""Auth's operations about API keys, and who may call them."""

from __future__ import annotations

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.api_keys import (
    ApiKeysPage,
    ApiKeyView,
    ChangeApiKey,
    CreateApiKey,
    CreatedSecretView,
    ExchangeKey,
    KeyMarks,
    KeyToken,
    RemoveSecret,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ListPage
from services.auth import api_keys
from services.auth.key_exchange import KeyExchange


def add_key_operations(requests: Requests, exchange: KeyExchange) -> None:
    """Keys of a team are its managers' affair, those of the whole organisation are leads' and admins'.

    `exchange_key` and `key_marks` are for the gateway, as the bus permits.
    """

    @requests.query("key_marks", NoRequest, public=True)
    def key_marks(work: Work, _body: NoRequest, _caller: None) -> KeyMarks:
        return api_keys.marks(work)

    @requests.handle("exchange_key", ExchangeKey, public=True)
    async def exchange_key(body: ExchangeKey, _caller: None) -> KeyToken:
        return await exchange.exchange(body)

    @requests.handle("create_api_key", CreateApiKey, action=Action.KEYS_WRITE)
    def create_api_key(work: Work, body: CreateApiKey, caller: Caller) -> ApiKeyView:
        return api_keys.create(work, body, caller, caller.cause(work))

    @requests.query("api_keys", ListPage, action=Action.KEYS_READ)
    def listed(work: Work, body: ListPage, caller: Caller) -> ApiKeysPage:
        return api_keys.listed(work, body, caller)

    @requests.query("api_key", ById, action=Action.KEYS_READ)
    def api_key(work: Work, body: ById, caller: Caller) -> ApiKeyView:
        return api_keys.one(work, body.id, caller)

    @requests.handle("change_api_key", ChangeApiKey, action=Action.KEYS_WRITE, versioned=api_keys.KEYS)
    def change_api_key(work: Work, body: ChangeApiKey, caller: Caller) -> ApiKeyView:
        return api_keys.change(work, body.id, body, caller, caller.cause(work))

    @requests.handle("revoke_api_key", ById, action=Action.KEYS_WRITE, versioned=api_keys.KEYS)
    def revoke_api_key(work: Work, body: ById, caller: Caller) -> None:
        api_keys.revoke(work, body.id, caller, caller.cause(work))

    @requests.handle("take_over_api_key", ById, action=Action.KEYS_WRITE, versioned=api_keys.KEYS)
    def take_over_api_key(work: Work, body: ById, caller: Caller) -> ApiKeyView:
        return api_keys.take_over(work, body.id, caller, caller.cause(work))

    @requests.handle("add_api_key_secret", ById, action=Action.KEYS_WRITE, versioned=api_keys.KEYS)
    def add_api_key_secret(work: Work, body: ById, caller: Caller) -> CreatedSecretView:
        return api_keys.add_secret(work, body.id, caller, caller.cause(work))

    @requests.handle("remove_api_key_secret", RemoveSecret, action=Action.KEYS_WRITE, versioned=api_keys.KEYS)
    def remove_api_key_secret(work: Work, body: RemoveSecret, caller: Caller) -> None:
        api_keys.remove_secret(work, body.id, body.secret_id, caller, caller.cause(work))
