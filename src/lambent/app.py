"""The composition root: from settings to parts to one server. Start reading here.

Owns which part gets which, the order in which they start and end, and nothing else. It runs without privileges: what
needs them happened before (`cli/up.py`), or happens in the launcher.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from lambent import development_clock
from lambent.admin import Admin
from lambent.aws.service import Handler
from lambent.bill_routes import BillRoutes
from lambent.billing import prices
from lambent.billing.budgets import Budgets
from lambent.billing.desk import Desk
from lambent.billing.ledger import Ledger
from lambent.billing.standing import STEP_MS, Standing
from lambent.billing.store import allocated_since, cached_mb_ms
from lambent.core import stopping, tasks
from lambent.core.clock import Clock, SystemClock, VirtualClock
from lambent.core.settings import Settings
from lambent.development_clock import DevelopmentClock, Timed
from lambent.environments.capacity import give_back_memory
from lambent.environments.disk import Disk
from lambent.environments.networks.egress import Egress
from lambent.environments.networks.services import services as services_in_vpcs
from lambent.environments.networks.vpcs import Vpcs, why_none
from lambent.environments.pool import Pool
from lambent.environments.program import Programs, RuntimesInUse
from lambent.environments.provisioning import Provisioning
from lambent.environments.sandbox import probe
from lambent.environments.sandbox.contained import ContainedDriver
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.snapshots.snapshot import Snapshots
from lambent.environments.stock import limits
from lambent.event_sources.mappings import EventSourceMappings
from lambent.event_sources.pollers import Pollers
from lambent.event_sources.ports import PollerFactory
from lambent.event_sources.sources import Kind
from lambent.events_route import EventsRoute
from lambent.functions.code_source import S3Code
from lambent.functions.control_plane import ControlPlane
from lambent.functions.networks import Ec2
from lambent.functions.ports import VersionObserver
from lambent.functions.quotas import configured
from lambent.functions.signing import profiles as signing_profiles
from lambent.functions.url_access import UrlPolicies
from lambent.gateway.app import Gateway
from lambent.gateway.authenticate import CheckedWhereKnown
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere, redirects
from lambent.gateway.function_urls import UrlRoute
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sandbox_endpoint import SandboxEndpoint
from lambent.gateway.server import HttpServer
from lambent.host import Host, Ready
from lambent.invocation.api import Invocation
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.event_queue import EventQueue
from lambent.invocation.function_url import FunctionUrls
from lambent.invocation.gauges import Gauges
from lambent.invocation.journals import Journals
from lambent.invocation.metrics import Metrics
from lambent.invocation.recursion import LoopDetection
from lambent.invocation.router import Router
from lambent.launcher.client import LauncherClient, LauncherError
from lambent.operations import lambda_operations, services
from lambent.queue_routes import QueueRoutes
from lambent.services.logs.retention import Retention
from lambent.services.logs.service import LogsService
from lambent.services.neighbours.iam import IamOverRestarts
from lambent.services.neighbours.neighbours import Neighbours
from lambent.services.s3.lazily import S3
from lambent.services.sqs.service import SqsService
from lambent.services.sts.service import StsService
from lambent.store.datadir import DataDir
from lambent.store.opening import open_database

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
"""How long requests and invocations may go on after SIGTERM; a second signal ends them at once."""
MEGABYTE = 1024 * 1024


async def serve(
    settings: Settings, host: Host, choosing: Awaitable[probe.Choice], stop: asyncio.Event, ready: Ready
) -> None:
    """Until `stop` is set. `choosing` is awaited when there is a server that needs a sandbox. Raises as `start.run`."""
    async with AsyncExitStack() as stack:
        server = HttpServer()
        stack.push_async_callback(server.close, 0.0)
        clock = SystemClock()
        data_dir = host.data_dir
        quotas = configured(settings.quotas, settings.account_concurrency)
        virtual = _virtual_clock(settings, data_dir)
        # Of what waits and grows old in the store. What runs, what is signed and what is logged is of the real clock.
        schedule: Clock = virtual or clock

        database = open_database(data_dir, settings.database)
        stack.push_async_callback(database.close)
        database.when_lost(stop.set)
        # After the owners of endless work have ended it, while the database still takes what finishing work writes.
        stack.push_async_callback(tasks.drain, DRAIN_S)
        retention = Retention(
            default_days=settings.log_retention_days or None, disk_bytes=settings.log_disk_mb * MEGABYTE
        )
        logs = LogsService(database, clock, retention=retention)
        stack.push_async_callback(logs.close)
        table_of_prices = prices.default() if settings.prices is None else prices.load(settings.prices[1])
        ledger = Ledger(database, clock, table_of_prices)
        stack.push_async_callback(ledger.close)
        budgets = Budgets(database, clock, table_of_prices)
        budgets.load()
        ledger.stored = budgets.stored

        keys = KnownKeys(clock)
        iam = IamOverRestarts(database, clock, keys)
        neighbours = Neighbours(data_dir.root / "run", iam, memory_bytes=settings.moto_memory_mb * MEGABYTE)
        stack.push_async_callback(neighbours.close)
        elsewhere = Elsewhere(neighbours, await redirects(settings.endpoints))
        for endpoint in elsewhere.redirects.values():
            stack.push_async_callback(endpoint.close)
        caller = InProcessCaller(elsewhere)
        neighbours.caller = caller
        neighbours.buckets = True

        ec2 = Ec2(caller)
        # The control plane tells the pool what is retired, the pool asks the control plane for packages.
        observers: list[VersionObserver] = []
        provisioning = Provisioning()
        snapshots = Snapshots()
        control_plane = ControlPlane(
            data_dir=data_dir,
            database=database,
            clock=clock,
            runtime_support=host.catalog,
            runtime_version_arn=host.catalog.version_arn,
            observers=observers,
            code_source=S3Code(caller, quotas, data_dir.root),
            roles=iam,
            networks=ec2,
            provisioner=provisioning,
            snapshots=snapshots,
            quotas=quotas,
            deprecations=dict(settings.deprecated_runtimes),
            signing_profiles=signing_profiles.load(settings.signing_profiles),
        )
        stack.push_async_callback(control_plane.close)
        # A poller invokes functions, which is made below; there is none before the start.
        sources: dict[Kind, PollerFactory] = {}
        mappings = EventSourceMappings(
            database=database,
            clock=clock,
            functions=control_plane.read_model,
            caller=caller,
            pollers=sources,
            quotas=quotas,
        )
        control_plane.taggables["event-source-mapping"] = mappings.taggable

        sts = StsService(database, clock, keys, caller, data_dir.secret("sessions"))
        sts.load()
        sqs = SqsService(database, schedule, keys, fifo_calls_per_s=quotas.fifo_queue_calls_per_s)
        stack.push_async_callback(sqs.close)
        s3 = S3(database, data_dir.root / "s3", schedule, caller)
        stack.push_async_callback(s3.close)
        table: dict[str, Handler] = {}
        gateway = Gateway(
            services(table, logs, sts, sqs, s3), allowed_hosts=settings.allowed_hosts, elsewhere=elsewhere, keys=keys
        )
        caller.apis = gateway.apis
        choice = await choosing
        if isinstance(choice.driver, ContainedDriver):
            host.catalog.serve_other_users()
        stack.push_async_callback(choice.driver.close)
        launcher = host.launcher if isinstance(choice.driver, NativeDriver) else None
        ec2.problem = why_none(launcher)
        vpcs = Vpcs(launcher, ec2, clock, services_in_vpcs(settings.vpc_services))
        stack.push_async_callback(vpcs.close)
        egress = Egress.of(launcher)
        stack.push_async_callback(egress.close)
        if launcher is not None:
            stack.callback(_stop_without(launcher, stop))
        counted = Metrics(clock)
        pool = Pool(
            driver=choice.driver,
            programs=Programs(host.catalog, control_plane.packages),
            journals=Journals(logs.sink),
            clock=clock,
            meter=ledger.meter,
            aws_endpoint=SandboxEndpoint(gateway, server, clock),
            networks=vpcs,
            tally=counted,
            max_environments=settings.max_environments,
            idle_environment_s=settings.idle_environment_s,
            quotas=quotas,
            prewarm=limits(settings.prewarm, os.cpu_count() or 1),
            runtimes=RuntimesInUse(host.catalog, control_plane.read_model),
            disk_is_low=Disk(data_dir.root).is_low,
            fork_latest=settings.fork_latest,
            snapshots=snapshots,
        )
        stack.push_async_callback(pool.close, DRAIN_S)
        # Pollers end first: their last batches need environments.
        stack.push_async_callback(mappings.close)
        observers += (pool, snapshots)
        concurrency = Concurrency(
            settings.account_concurrency, control_plane.read_model, clock=clock, rate=quotas.invocation_rate
        )
        gauges = Gauges(concurrency, counted, clock)
        router = Router(concurrency, pool, counted, budgets)
        recursion = LoopDetection(control_plane.read_model, counted)
        events = EventQueue(
            database=database,
            clock=schedule,
            functions=control_plane.read_model,
            resolver=control_plane.resolver,
            router=router,
            caller=caller,
            # The other half is for those who wait for an answer.
            budget=max(1, min(settings.account_concurrency, pool.capacity) // 2),
            metrics=counted,
            quotas=quotas,
            loops=recursion,
        )
        stack.push_async_callback(events.close)
        sources |= Pollers(
            caller=caller,
            functions=control_plane.read_model,
            resolver=control_plane.resolver,
            router=router,
            loops=recursion,
            metrics=counted,
            clock=clock,
            budget=max(1, min(settings.account_concurrency, pool.capacity) // 2),
            told=mappings.results.told,
        ).factories()
        invocation = Invocation(
            resolver=control_plane.resolver,
            router=router,
            clock=clock,
            events=events,
            loops=recursion,
            quotas=quotas,
            services=control_plane.authorizer,
        )
        # Functions call the services that invoke them: here the circle closes.
        table |= lambda_operations(control_plane, mappings, invocation)
        resets = (
            mappings.reset,
            events.reset,
            counted.reset,
            control_plane.reset,
            logs.reset,
            ledger.reset,
            budgets.reset,
            neighbours.reset,
            sts.reset,
            sqs.reset,
            s3.reset,
        )
        admin = Admin(
            catalog=host.catalog,
            choice=choice,
            egress=egress,
            control_plane=control_plane,
            pool=pool,
            concurrency=concurrency,
            counted=counted,
            queues=sqs.totals,
            gauges=gauges,
            keys=keys,
            resets=resets if settings.allow_reset else None,
            virtual_clock=virtual is not None,
        )
        events_route = EventsRoute(events, control_plane.read_model, keys, schedule)
        desk = Desk(
            database=database,
            clock=clock,
            prices=table_of_prices,
            ledger=ledger,
            budgets=budgets,
            functions=control_plane.read_model.get,
        )
        gateway.routes = (
            admin.routes() | events_route.routes() | BillRoutes(desk, keys).routes() | QueueRoutes(sqs, keys).routes()
        )
        if virtual is not None and settings.virtual_clock:
            timed: dict[str, Timed] = {"Attempts": events.worker, "Deliveries": events.deliveries.worker}
            timed["Expiries"] = s3
            gateway.routes |= DevelopmentClock(virtual, data_dir, timed).routes()
        gateway.urls = UrlRoute(
            FunctionUrls(
                functions=control_plane.read_model,
                resolver=control_plane.resolver,
                router=router,
                access=UrlPolicies(control_plane.authorizer),
                clock=clock,
                quotas=quotas,
                metrics=counted,
            ),
            CheckedWhereKnown(keys, clock),
        )

        neighbours.load()
        control_plane.start()
        mappings.start()
        logs.start()
        ledger.start()
        sqs.start()
        await events.start()
        await s3.start()
        standing = Standing(
            clock,
            table_of_prices,
            wanted=control_plane.wanted_environments,
            snapshots=control_plane.versions_with_snapshots,
            recorded=database.read_now(cached_mb_ms),
            billed=ledger.add,
            allocated=database.read_now(partial(allocated_since, since_ms=clock.epoch_ms() - 2 * STEP_MS)),
        )
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "bill of what is kept": standing.run,
            "pool eviction": pool.run,
            "prepared sandboxes": pool.prewarm.run,
            "rules of VPCs": vpcs.run,
            "provisioned concurrency": partial(provisioning.run, pool, control_plane.wanted_environments),
            "gauges": gauges.run,
            "snapshots": partial(snapshots.run, control_plane.versions_with_snapshots),
        }
        for name, loop in loops.items():
            stack.callback(tasks.keep_running(name, loop).cancel)

        listener = await server.listen(gateway.public(), settings.host, settings.port)
        gc.freeze()
        # By default a tenth of what a burst of new environments costs here is collections that find nothing.
        gc.set_threshold(5_000, 10, 10)
        gc.enable()
        give_back_memory()
        ready(listener.url(settings.host), choice, egress.missing)
        await stop.wait()
        mappings.begin_to_close()
        lost = launcher is not None and launcher.gone
        await events.close()
        sqs.end_waiting()
        await server.drain(DRAIN_S)
    if database.lost is not None:
        raise database.lost
    if lost:
        raise LauncherError("the launcher has ended, and without it there are no sandboxes; start the server again")


def _virtual_clock(settings: Settings, data_dir: DataDir) -> VirtualClock | None:
    """Also without the flag where it was once advanced: what was stamped then shall not lie in the future now."""
    ahead_ms = development_clock.stored(data_dir)
    if not (settings.virtual_clock or ahead_ms):
        return None
    if ahead_ms and not settings.virtual_clock:
        logger.warning("The clock of events is %d s ahead: it was advanced while it was virtual", ahead_ms // 1000)
    return VirtualClock(ahead_ms)


def _stop_without(launcher: LauncherClient, stop: asyncio.Event) -> Callable[[], object]:
    """Stop when the launcher ends: this process cannot start another. Returns what ends the watch."""

    def on_end() -> None:
        logger.error("The launcher has ended by itself: killed, or out of memory. The server stops.")
        stop.set()

    return stopping.at_end_of_peer(launcher.fileno(), on_end)
