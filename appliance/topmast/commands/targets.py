"""`topmast targets`: who is scraped; a target more, a target less, and what one answers."""

import json
from dataclasses import asdict
from typing import Any

import click

from topmast import applying, config, endpoint, outside, ownfile, scraped, yamledit
from topmast.catalogue import PRODUCTION
from topmast.cli import Call
from topmast.errors import ConfigError, TopmastError
from topmast.layout import Layout
from topmast.scraped import Target


@click.group("targets")
def targets() -> None:
    """See what is scraped, add to it, take away from it, ask it.

    \b
    topmast targets add app 127.0.0.1:8000
    topmast targets add postgres https://db.example.com:9187/metrics --username metrics --password-file db.password
    topmast targets add url https://shop.example/health
    topmast targets check
    topmast targets list

    JOB is one of the jobs of prometheus.yml (`topmast targets list --jobs`). A password is read from a file of yours,
    whose path is all that is written down. Redis and PostgreSQL servers without an endpoint of their own are read by
    our exporter: `exporter: {collectors: […]}` in topmast.yml. `url` (the job blackbox) is asked from outside by
    blackbox_exporter, as a visitor would: status, time, name, certificate.
    """


@targets.command("add")
@click.argument("job")
@click.argument("address")
@click.option("--environment", metavar="NAME", help="Only `production` ever pages. [that of topmast.yml]")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="On each of its series; repeatable.")
@click.option("--username", metavar="NAME", help="For basic authentication, with --password-file.")
@click.option(
    "--password-file", metavar="FILE", help="Holds the password and nothing else; not for everybody to read."
)
@click.option("--bearer-token-file", metavar="FILE", help="Holds the token and nothing else.")
@click.option("--ca-file", metavar="FILE", help="The authority that signed its certificate, if it is a private one.")
@click.option("--json", "as_json", is_flag=True, help='{"target", "file", "applied", "check": {"ok", "message", …}}')
@click.pass_obj
def add(call: Call, /, job: str, address: str, as_json: bool, labels: tuple[str, ...], **more: str | None) -> None:
    """Scrape one more endpoint: ADDRESS is HOST:PORT, or its whole URL. With `url`: any page of yours.

    It is written into topmast.yml, handed to a running Prometheus, and asked once: what is wrong with it is said, but
    it stays added.
    """
    layout = Layout(call.home, call.state)
    path = ownfile.place(call.config)
    job = outside.job(job)
    one = scraped.described(job, address, labels=labels, **more)
    target = scraped.target(job, one)
    if any(each.same(target) for each in scraped.own(config.load(call.config, layout).values["targets"])):
        raise ConfigError(f"{job} {target.url}: it is there already; `topmast targets remove` it first")
    text, values = ownfile.draft(path, lambda before: yamledit.append(before, ("targets", job), one), layout)
    scraped.check_jobs(values["targets"])
    ownfile.write(path, text)
    applied = _applied(layout, values, str(path))
    answer = _ask(target)
    if as_json:
        told = {"target": asdict(target) | {"url": target.url}, "file": str(path), "applied": applied.state}
        click.echo(json.dumps(told | {"check": asdict(answer)}, indent=2))
        return
    click.echo(f"{path}: {job} {target.url} is a target; {applied.message}")
    click.echo(_said(answer))
    environment = target.labels.get("environment", values["environment"])
    if environment != PRODUCTION:
        click.echo(f"note: environment {environment}: its alerts go to the team's channel and never page")
    if more.get("username") and target.url.startswith("http://") and not target.local:
        click.echo("note: the password goes over the network unencrypted; https:// would protect it", err=True)


@targets.command("remove")
@click.argument("job")
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help='{"target", "file", "applied"}')
@click.pass_obj
def remove(call: Call, job: str, address: str, as_json: bool) -> None:
    """Scrape an endpoint no longer: JOB and ADDRESS as `topmast targets list` shows them."""
    layout = Layout(call.home, call.state)
    job = outside.job(job)
    path = ownfile.place(call.config)
    values = config.load(call.config, layout).values
    listed = scraped.own({job: values["targets"].get(job, [])})
    found = [number for number, each in enumerate(listed) if address in (each.address, each.url)]
    if len(found) > 1:
        raise ConfigError(f"{job} {address}: {' and '.join(listed[n].url for n in found)}: say which by its URL")
    if not found:
        others = ", ".join(each.url for each in listed) or "none of your own"
        raise ConfigError(f"{job} {address}: no such target in topmast.yml; of this job there are: {others}")
    text, values = ownfile.draft(path, lambda before: yamledit.remove(before, ("targets", job), found[0]), layout)
    ownfile.write(path, text)
    applied = _applied(layout, values, str(path))
    gone = listed[found[0]]
    if as_json:
        told = {"target": asdict(gone) | {"url": gone.url}, "file": str(path), "applied": applied.state}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"{path}: {job} {gone.url} is no longer a target; {applied.message}")


@targets.command("list")
@click.option("--jobs", is_flag=True, help="The jobs that there are, also those without a target.")
@click.option("--json", "as_json", is_flag=True, help='{"targets": [{"job", "address", "origin", "health", …}]}')
@click.pass_obj
def list_(call: Call, jobs: bool, as_json: bool) -> None:
    """List who is scraped: ours, the servers of the collectors, yours; with its health where Prometheus runs.

    Health is `up`, `down` with Prometheus' own reason, or `unknown` when it has not asked yet or does not run.
    """
    found = scraped.listing(Layout(call.home, call.state), call.config)
    if as_json:
        click.echo(json.dumps({"targets": [asdict(each) | {"url": each.url} for each in found]}, indent=2))
        return
    if jobs:
        for job in scraped.JOBS:
            click.echo(f"{job:<14} {sum(each.job == job for each in found)}")
        return
    width = max((len(each.shown) for each in found), default=0)
    for each in found:
        color = {"up": "green", "down": "red"}.get(each.health)
        environment = f"  environment={each.labels['environment']}" if "environment" in each.labels else ""
        error = f"  {each.error}" if each.error else ""
        health = click.style(f"{each.health:<8}", fg=color)
        click.echo(f"{each.job:<14} {health} {each.shown:<{width}}  {each.origin}{environment}{error}")


@targets.command("check")
@click.argument("job", required=False)
@click.argument("address", required=False)
@click.option("--all", "everything", is_flag=True, help="Ours and the collectors' as well; they must run.")
@click.option("--json", "as_json", is_flag=True, help='{"checks": [{"job", "url", "ok", "status", "series", …}]}')
@click.pass_context
def check(ctx: click.Context, job: str | None, address: str | None, everything: bool, as_json: bool) -> None:
    """Ask your targets (of JOB, at ADDRESS) as Prometheus would: status, content type, series, or the remedy.

    It asks from here, with the password files of topmast.yml. Exit code 1 when one cannot be scraped.
    """
    call: Call = ctx.obj
    job = outside.job(job) if job else None
    listed = scraped.listing(Layout(call.home, call.state), call.config)
    chosen = [
        each
        for each in listed
        if (everything or each.origin == scraped.OWN)
        and job in (None, each.job)
        and address in (None, each.address, each.url)
    ]
    if job is not None and not chosen:
        raise TopmastError(f"{job} {address or ''}".rstrip() + ": no such target of yours; `topmast targets list`")
    answers = [(each, _ask(each)) for each in chosen]
    if as_json:
        told = [{"job": each.job, **asdict(answer)} for each, answer in answers]
        click.echo(json.dumps({"checks": told}, indent=2))
    else:
        for each, answer in answers:
            click.echo(f"{each.job:<14} {_said(answer)}")
        if not answers:
            click.echo("no target of your own; `topmast targets add app HOST:PORT` adds one, --all asks ours")
    if not all(answer.ok for _, answer in answers):
        ctx.exit(1)


def _applied(layout: Layout, values: dict[str, Any], path: str) -> applying.Applied:
    try:
        return applying.apply(layout, values)
    except TopmastError as error:
        raise TopmastError(f"{path} is written; {error}") from error


def _ask(target: Target) -> endpoint.Answer:
    return outside.ask(target.url) if target.job == outside.JOB else endpoint.ask(target.url, target.secure)


def _said(answer: endpoint.Answer) -> str:
    if answer.ok and answer.series is None:
        return f"{answer.url}: fine: HTTP {answer.status} after {answer.seconds} s"
    if answer.ok:
        return f"{answer.url}: fine: HTTP {answer.status}, {answer.content_type}, {answer.series} series"
    return f"{answer.url}: {answer.message}; {answer.remedy}"


COMMAND = targets
