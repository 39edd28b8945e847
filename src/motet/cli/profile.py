"""`motet profile`: what each expert is good at, from a routing table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet import files
from motet.cli.bars import progress_bar
from motet.cli.console import Json, Key, ServiceUrl, command, new_table, print_json, run
from motet.cli.synthesis import synthesis
from motet.errors import ArtifactError, ConfigError, TableError
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.routers.skill.annotation import Annotation
    from motet.routers.skill.profile import AnnotatorRecord, Profile

app = typer.Typer(no_args_is_help=True)

ProfilePath = Annotated[Path, typer.Argument(metavar="P.json", help="A skill profile.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the profile is kept.")]
LEXICAL = "lexical"


@app.callback()
def _group() -> None:
    """Skill profiles: what each expert is good at, for routers of kind `skill`."""


@app.command("build")
@command
def build(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A routing table: .parquet, .csv or .jsonl.")
    ],
    out: Out,
    annotator: Annotated[
        str, typer.Option(help="Who names skills: 'lexical', or an expert of --config.")
    ] = LEXICAL,
    config: Annotated[
        str | None, typer.Option("--config", help="The config file, for an expert.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="A hub id, a folder or pypi:package; MiniLM if not given."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="No encoder: match equal keywords alone.")
    ] = False,
    merge: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="COSINE", help="Merge keywords at least this alike."),
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(min=1, help="Questions a keyword needs; 3 and 1 in 1,000 if not given."),
    ] = None,
    experts: Annotated[
        int, typer.Option(min=1, help="How many the router will recruit; for trimming.")
    ] = 3,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Questions that an expert annotates at once.")
    ] = 4,
    url: ServiceUrl = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Count how often each expert of a table was right, by the skills its questions need.

    An expert's annotations are kept beside the profile as they come: run the same command again
    after an interruption, and only what is missing is asked.
    """
    from motet.encoders.encoder import DEFAULT_ENCODER
    from motet.encoders.encoder import encoder as find_encoder
    from motet.routers.skill.annotations import annotate_by_lexicon
    from motet.routers.skill.build import BuildOptions
    from motet.routers.skill.build import build as built
    from motet.tables.routing import read

    if exact and (encoder is not None or merge is not None):
        raise ConfigError("--exact uses no encoder, so --encoder and --merge do not go with it.")
    rows = read(table)
    if rows.queries is None:
        raise TableError(f"{table} has no 'query' column, so there is nothing to annotate.")
    if annotator == LEXICAL:
        record, annotations = annotate_by_lexicon(rows.queries)
    else:
        kept = out.with_suffix(".annotations.jsonl")
        service = (config, url, key)
        record, annotations = _by_expert(rows.queries, annotator, service, kept, concurrency)
    with progress_bar() as report:
        report("finding the encoder", 0, 0)
        encode = None if exact else find_encoder(encoder or DEFAULT_ENCODER, report=report)
        profile = built(
            rows,
            [annotation.keywords for annotation in annotations],
            record,
            encoder=encode,
            options=BuildOptions(merge=merge, least=least, experts=experts),
            report=report,
        )
    profile.save(out)
    noted = sum(bool(annotation.note) for annotation in annotations)
    facts = {"profile": str(out), "rows": len(rows), "annotated_by_lexicon_instead": noted}
    _tell(profile, facts, json)


def _by_expert(
    queries: Sequence[str],
    expert: str,
    service: tuple[str | None, str | None, str | None],
    kept: Path,
    concurrency: int,
) -> tuple[AnnotatorRecord, list[Annotation]]:
    """Ask an expert of a running service, or of one that is served for the while.

    `service` is the config file, the service's URL and its key, as far as they are given.
    """
    from motet.cli.served import caller, served
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.routers.skill.annotations import annotate_by_expert
    from motet.types import Capability

    config, url, key = service
    if config is None:
        raise ConfigError(
            f"--annotator {expert!r} is an expert, and --config names no config file.",
            hint=f"Give --config, or --annotator {LEXICAL}.",
        )
    document = load(config)
    known = [entry.id for entry in document.config.experts]
    if expert not in known:
        raise ConfigError(f"no expert {expert!r} in {config}. {did_you_mean(expert, known)}")
    able = Capability.JSON_SCHEMA in assemble(document).experts[expert].card.capabilities
    with served(document, url, {expert}, key) as there, progress_bar() as report:
        asked = caller(document, expert, there, key)
        about: dict[str, Any] = {"able": able, "concurrency": concurrency, "progress": report}
        return run(annotate_by_expert(queries, asked, kept, **about))


@app.command("show")
@command
def show(
    profile: ProfilePath,
    table: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Refuse the profile unless it counts this table."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw experts by skills, as PNG.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML page that loads nothing.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Skills in the printed table.")] = 25,
    json: Json = False,
) -> None:
    """Show what each expert is good at."""
    from motet.routers.skill import picture
    from motet.routers.skill.profile import Profile
    from motet.tables.routing import read

    known = Profile.load(profile)
    if table is not None:
        known.check_table(read(table).digest, str(table))
    if png is not None:
        _write(png, picture.heat_map(known))
    if html is not None:
        _write(html, picture.page(known).encode())
    if json:
        print_json(_facts(known))
        return
    _print(known, most)


@app.command("merge")
@command
def merge(
    profiles: Annotated[
        list[Path], typer.Argument(metavar="A.json B.json ...", help="Two profiles or more.")
    ],
    out: Out,
    json: Json = False,
) -> None:
    """Add up the answers that several profiles count."""
    from motet.routers.skill.profile import Profile

    if len(profiles) < 2:
        raise ConfigError("a merge needs two profiles or more.")
    first, *others = (Profile.load(path) for path in profiles)
    for other in others:
        first = first.merge(other)
    first.save(out)
    _tell(first, {"profile": str(out), "merged": [str(path) for path in profiles]}, json)


app.command("synthesis")(synthesis)


def _tell(profile: Profile, facts: dict[str, Any], json: bool) -> None:
    """Say what was written."""
    facts |= {
        "annotator": profile.annotator.expert or profile.annotator.kind,
        "encoder": profile.encoder.name if profile.encoder else None,
        "experts": list(profile.experts),
        "skills": len(profile.counts),
        "merged_keywords": len(profile.aliases),
    }
    if json:
        print_json(facts)
        return
    typer.secho(f"{facts['skills']} skills", bold=True, nl=False)
    typer.echo(f" of {len(profile.experts)} experts, named by {facts['annotator']}")
    if noted := facts.get("annotated_by_lexicon_instead"):
        typer.echo(f"  {noted} of {facts['rows']} questions: no usable answer, so lexical words")
    typer.echo(f"Wrote {facts['profile']}.")
    typer.secho(f"  Look at it: motet profile show {facts['profile']}", dim=True)


def _facts(profile: Profile) -> dict[str, Any]:
    """Return a profile with what follows from its counts."""
    from motet.routers.skill.picture import skills

    return {
        **profile.model_dump(mode="json", exclude={"counts"}),
        "pick_shares": profile.pick_shares(),
        "global_scores": profile.global_scores(),
        "aggregator": profile.aggregator(profile.experts),
        "skills": [
            {
                "skill": skill.keyword,
                "best": skill.best,
                "experts": {
                    expert: {
                        "right": profile.tally(skill.keyword, expert)[0],
                        "wrong": profile.tally(skill.keyword, expert)[1],
                        "chance": round(rate, 4),
                    }
                    for expert, rate in skill.rates.items()
                },
            }
            for skill in skills(profile)
        ],
    }


def _print(profile: Profile, most: int) -> None:
    from rich.console import Console

    from motet.routers.skill.picture import skills

    grid = new_table()
    grid.add_column("skill", no_wrap=True)
    grid.add_column("asked", justify="right", style="dim")
    for expert in profile.experts:
        grid.add_column(expert, justify="right", overflow="fold", min_width=4)
    rates = {expert: profile.rate(expert) for expert in profile.experts}
    grid.add_row("all questions", "", *_cells(rates), style="italic")
    for skill in skills(profile, most):
        grid.add_row(skill.keyword, f"{skill.asked:.0f}", *_cells(skill.rates))
    if shares := profile.pick_shares():
        grid.add_row()
        grid.add_row("share of picks", "", *(f"{share:.0%}" for share in shares.values()))
    Console().print(grid)
    left = len(profile.counts) - most
    more = f" {left} rarer skills are not shown." if left > 0 else ""
    typer.secho(f"Chance of a right answer in %, smoothed; the best in green.{more}", dim=True)


def _cells(rates: dict[str, float]) -> list[str]:
    best = max(rates.values())
    return [
        f"[bold green]{100 * r:.0f}[/]" if r == best else f"{100 * r:.0f}" for r in rates.values()
    ]


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, data)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written: {error}.") from error
    typer.echo(f"Wrote {path}.", err=True)
