"""`/admin`: what changes a running service. It needs the scope `admin` where keys are asked for."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from motet.api.guard import read_body
from motet.api.routes.forms import takes
from motet.config.snapshot import Snapshot, hash_of_text
from motet.protocol.body import checked, json_of
from motet.service.patience import PATIENCE_S
from motet.service.register import Register

_Wait = Annotated[float, Field(gt=0, le=3600)]


class ConfigBody(BaseModel):
    """`POST /admin/config`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    config: str | None = Field(None, description="The config in YAML; its file's when absent.")
    dry_run: bool = Field(False, description="Check it and say what would change, no more.")
    wait_s: _Wait = Field(PATIENCE_S, description="Seconds that new experts have to come up.")


class RollbackBody(BaseModel):
    """`POST /admin/rollback`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    to: int | None = Field(None, description="A snapshot's number; the one before when absent.")
    dry_run: bool = False
    wait_s: _Wait = PATIENCE_S


class ExpertBody(BaseModel):
    """`POST /admin/experts`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    action: Literal["add", "remove", "enable", "disable", "drain"]
    expert: str = Field(min_length=1, description="Its id; for `add` its entry in YAML.")
    dry_run: bool = False


def add_admin(app: FastAPI, register: Register) -> None:
    """Add the endpoints that change the service."""

    async def body_of(kind: type[Any], http: Request) -> Any:
        content = await read_body(http, register.document.config.service)
        return checked(json_of(content or b"{}"), kind.model_validate)

    @app.get("/admin/config")
    async def config() -> dict[str, Any]:
        """Return the config that is in place, as it was written, less its secrets."""
        document = register.document
        kept = hash_of_text(document.text)
        return {"file": document.name, "hash": kept, "config": document.shown}

    @app.post("/admin/config", openapi_extra=_body(ConfigBody))
    async def apply(http: Request) -> dict[str, Any]:
        """Put a config in place once it is proved; the old one goes on if anything fails."""
        body: ConfigBody = await body_of(ConfigBody, http)
        applied = await register.apply(body.config, dry=body.dry_run, patience_s=body.wait_s)
        return applied.json()

    @app.get("/admin/snapshots")
    async def snapshots() -> dict[str, Any]:
        """List the configs that were in place, newest first."""
        return {"object": "list", "data": [_told(each) for each in register.snapshots().listing()]}

    @app.post("/admin/rollback", openapi_extra=_body(RollbackBody))
    async def rollback(http: Request) -> dict[str, Any]:
        """Put a config of before in place again."""
        body: RollbackBody = await body_of(RollbackBody, http)
        applied = await register.roll_back(body.to, dry=body.dry_run, patience_s=body.wait_s)
        return applied.json()

    @app.post("/admin/experts", openapi_extra=_body(ExpertBody))
    async def experts(http: Request) -> dict[str, Any]:
        """Add, remove, enable, disable or drain one expert, in the file and in the service."""
        body: ExpertBody = await body_of(ExpertBody, http)
        return (await register.edit(body.action, body.expert, dry=body.dry_run)).json()


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    return takes("application/json", kind.model_json_schema())


def _told(snapshot: Snapshot) -> dict[str, Any]:
    at = datetime.datetime.fromtimestamp(snapshot.at, datetime.UTC)
    return {"number": snapshot.number, "hash": snapshot.hash, "at": at.isoformat()}
