# SPDX-License-Identifier: Apache-2.0
"""Hosts that an authority vouches for: @cert-authority lines and what a certificate says of itself."""

import shutil
import subprocess

import pytest

from harness.culvert import Culvert, destination, environment, login_arguments, run
from harness.keys import certify, make_key, public_part

FOREVER = ("-V", "always:forever")


@pytest.fixture(scope="module")
def authority(shared_folder):
    return make_key(shared_folder / "host_authority")


@pytest.fixture(scope="module")
def certified(make_sshd, host_keys, shared_folder, authority):
    """certified(*arguments of ssh-keygen) -> an sshd with such a certificate of its key; made once each."""
    servers = {}

    def make(*arguments, kind="ed25519", signer=authority):
        name = (kind, str(signer), *arguments)
        if name not in servers:
            key = shared_folder / f"certified_{len(servers)}"
            for suffix in ("", ".pub"):
                shutil.copy(f"{host_keys[kind]}{suffix}", f"{key}{suffix}")
            certificate = certify(key, signer, "-h", *arguments)
            servers[name] = make_sshd({"HostCertificate": str(certificate)}, kinds=(kind,))
        return servers[name]

    yield make
    for server in servers.values():
        server.stop()


def trusts(key, pattern="127.0.0.*") -> str:
    return f"@cert-authority {pattern} {public_part(key)}\n"


def accepts(server, folder, known_hosts, **options) -> str:
    options.setdefault("StrictHostKeyChecking", "yes")
    with Culvert(server, folder, [], known_hosts=known_hosts, options={"LogLevel": "VERBOSE", **options}) as process:
        assert process.stop() == 0
        return process.text


def refuses(server, folder, known_hosts, *wanted, **options) -> str:
    options.setdefault("StrictHostKeyChecking", "yes")
    done = run("-W", "127.0.0.1:9", *login_arguments(server, folder, options=options, known_hosts=known_hosts),
               destination(server), env=environment())
    assert done.status == 255, done.stderr
    for text in wanted:
        assert text in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"])
def test_each_type_of_key(certified, folder, authority, kind):
    server = certified("-n", "127.0.0.1", *FOREVER, kind=kind)
    assert "known by its certificate" in accepts(server, folder, trusts(authority))


def test_authorities_of_other_types(certified, folder, shared_folder):
    for kind, bits, algorithm in (("rsa", 2048, "rsa-sha2-512"), ("rsa", 2048, "rsa-sha2-256"), ("ecdsa", 256, "ecdsa-sha2-nistp256")):
        signer = shared_folder / f"authority_{algorithm}"
        if not signer.exists():
            make_key(signer, kind, bits)
        server = certified("-n", "127.0.0.1", *FOREVER, *(["-t", algorithm] if kind == "rsa" else []), signer=signer)
        assert "known by its certificate" in accepts(server, folder, trusts(signer), CASignatureAlgorithms=algorithm)
        refuses(server, folder, trusts(signer), "CASignatureAlgorithms excludes", CASignatureAlgorithms=f"-{algorithm}")


def test_how_lines_match(certified, folder, authority):
    server = certified("-n", "127.0.0.1", *FOREVER)
    for pattern in (server.address, "127.0.0.1", "*", f"[127.*]:{server.port}"):
        accepts(server, folder, trusts(authority, pattern))
    for pattern in ("127.0.0.2", f"*,!127.0.0.1,!{server.address}", "[127.0.0.1]:22"):
        refuses(server, folder, trusts(authority, pattern), "is not known by its ED25519 key")
    hashed = folder / "hashed"
    hashed.write_text(f"{server.address} {public_part(authority)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], check=True, capture_output=True)
    accepts(server, folder, "@cert-authority " + hashed.read_text())


def test_expired_and_not_yet_valid(certified, folder, authority):
    expired = certified("-n", "127.0.0.1", "-V", "20200101:20210101")
    assert "it expired on 202" in refuses(expired, folder, trusts(authority), "Host key verification failed")
    early = certified("-n", "127.0.0.1", "-V", "20900101:20910101")
    refuses(early, folder, trusts(authority), "it is not valid before 20")
    # The key itself may be known all the same.
    assert "it expired on" in accepts(expired, folder, trusts(authority) + expired.known_hosts())


def test_for_other_hosts(certified, folder, authority):
    server = certified("-n", "web.example.org,db.example.org", *FOREVER)
    refuses(server, folder, trusts(authority), "it is for web.example.org, db.example.org, not for 127.0.0.1")
    accepts(server, folder, trusts(authority, "*.example.org"), HostKeyAlias="db.example.org")
    accepts(server, folder, trusts(authority, "*.example.org"), HostKeyAlias="DB.example.org")
    refuses(server, folder, trusts(authority), "is not known by its", HostKeyAlias="db.example.org")


def test_for_nobody_and_for_users(certified, folder, authority):
    refuses(certified(*FOREVER), folder, trusts(authority), "it names no host")


def test_an_authority_that_is_not_ours(certified, folder):
    server = certified("-n", "127.0.0.1", *FOREVER)
    other = trusts(make_key(folder / "other"))
    refuses(server, folder, other, "is not known by its ED25519 key")
    assert "known by its certificate" not in accepts(server, folder, other + server.known_hosts())


def test_a_plain_line_is_no_authority(certified, folder, authority):
    server = certified("-n", "127.0.0.1", *FOREVER)
    refuses(server, folder, f"{server.address} {public_part(authority)}\n", "has changed")


def test_revoked_authority_and_revoked_key(certified, folder, authority):
    server = certified("-n", "127.0.0.1", *FOREVER)
    for key in (authority, server.host_keys[0]):
        refuses(server, folder, trusts(authority) + server.known_hosts() + f"@revoked * {public_part(key)}\n",
                "is revoked by", StrictHostKeyChecking="no")


def test_revoked_host_keys(certified, folder, authority):
    server = certified("-n", "127.0.0.1", "-z", "7", "-I", "web 7", *FOREVER)
    listing, revoked = folder / "listing", folder / "revoked"
    for text, is_revoked in (("serial: 5-9\n", True), ("id: web 7\n", True), ("serial: 8\nid: web\n", False)):
        listing.write_text(text)
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(revoked), "-s", f"{authority}.pub", str(listing)], check=True,
                       capture_output=True)
        if is_revoked:
            refuses(server, folder, trusts(authority) + server.known_hosts(), f"certificate of [127.0.0.1]:{server.port}",
                    f"is revoked by {revoked}", RevokedHostKeys=str(revoked))
        else:
            accepts(server, folder, trusts(authority), RevokedHostKeys=str(revoked))
    refuses(server, folder, trusts(authority), "is revoked by", RevokedHostKeys=f"{authority}.pub")


def test_certificates_can_be_left_out_of_the_offer(certified, folder, authority):
    server = certified("-n", "127.0.0.1", *FOREVER)
    refuses(server, folder, trusts(authority), "is not known by its", HostKeyAlgorithms="-*-cert-v01@openssh.com")
    accepts(server, folder, trusts(authority), HostKeyAlgorithms="ssh-ed25519-cert-v01@openssh.com")


def test_keys_are_renewed_with_a_certificate(certified, folder, authority):
    server = certified("-n", "127.0.0.1", *FOREVER)
    with Culvert(server, folder, [], known_hosts=trusts(authority),
                 options={"StrictHostKeyChecking": "yes", "RekeyLimit": "default 1", "LogLevel": "DEBUG2"}) as process:
        process.wait_for("keys were renewed", count=2)
        assert process.stop() == 0
