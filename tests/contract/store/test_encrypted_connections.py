"""PostgreSQL over TLS: what the URL asks of the server's certificate is kept to, also by each new connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from lambent.store.database import Database
from lambent.store.datadir import DataDirError
from tests.certificates import Certified, certify
from tests.postgres import HOME, Cluster


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certify(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def cluster(certified: Certified) -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.listen(certified)
        yield cluster
    finally:
        cluster.close()


def opened(url: str) -> Database:
    return Database.open_url(url, home=HOME, lock_wait_s=0)


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_all_sessions_are_encrypted(cluster: Cluster, certified: Certified, mode: str) -> None:
    url = cluster.tls_url(name_of(cluster.create()), sslmode=mode, sslrootcert=str(certified.authority))
    database = opened(url)
    encrypted = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert await database.write(lambda c: c.execute(encrypted).scalar_one()) is True
    assert await database.read(lambda c: c.execute(encrypted).scalar_one()) is True
    # The sessions after a restart ask for the same.
    cluster.crash()
    cluster.start()
    assert await database.write(lambda c: c.execute(encrypted).scalar_one()) is True
    assert await database.read(lambda c: c.execute(encrypted).scalar_one()) is True
    await database.close()


def test_a_certificate_of_another_authority_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    stranger = certify(tmp_path)
    url = cluster.tls_url("postgres", sslmode="verify-full", sslrootcert=str(stranger.authority))
    with pytest.raises(DataDirError, match="certificate verify failed") as failure:
        opened(url)
    assert cluster.password not in str(failure.value)


def test_a_certificate_for_another_host_is_refused_where_the_host_is_to_be_verified(
    cluster: Cluster, certified: Certified
) -> None:
    """By another of its names, which is not in the certificate."""
    url = cluster.tls_url("postgres", sslmode="verify-full", sslrootcert=str(certified.authority), host="localhost")
    with pytest.raises(DataDirError, match="does not match host name"):
        opened(url.replace("@127.0.0.1:", "@:"))


def test_a_server_without_tls_is_refused_where_it_is_required(certified: Certified) -> None:
    cluster = Cluster()
    try:
        port = cluster.listen(certified)
        cluster.stop()
        cluster.start(ssl="off")
        with pytest.raises(DataDirError, match=f"127.0.0.1:{port}.*server does not support SSL"):
            opened(cluster.tls_url("postgres", sslmode="require"))
    finally:
        cluster.close()
