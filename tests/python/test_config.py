# SPDX-License-Identifier: Apache-2.0
"""Files of ssh_config(5): `culvert -G` beside `ssh -G`, key by key; and what only a running tunnel shows."""

import functools
import os
import pathlib
import pwd
import re
import subprocess

import pytest

from harness.culvert import SMALL, binary, environment, run
from harness.openssh import version
from harness.processes import Process
from harness.sockets import connect, free_port

# Lists of algorithms: what both have, in any order where culvert's own order plays a part.
ALGORITHMS = {"ciphers": "cipher", "macs": "mac", "kexalgorithms": "kex", "hostkeyalgorithms": "HostKeyAlgorithms",
              "pubkeyacceptedalgorithms": "PubkeyAcceptedAlgorithms", "casignaturealgorithms": "sig"}
# Not compared. About what culvert does not do, and ssh fills in more than the files say; or a default of culvert's own.
NOT_OURS = {"gssapikexalgorithms", "hostbasedacceptedalgorithms", "xauthlocation", "updatehostkeys",
            "requiredrsasize", "knownhostscommand",
            "channeltimeout", "obscurekeystroketiming"}  # later than 9.2
OWN_DEFAULTS = {  # ours, ssh's
    "exitonforwardfailure": ("yes", "no"), "serveralivecountmax": ("2", "3"), "serveraliveinterval": ("30", "0"),
    "ipqos": ("lowdelay throughput", "ef cs1"),  # from ssh 10 on
    "identityfile": ("~/.ssh/id_rsa|~/.ssh/id_ecdsa|~/.ssh/id_ed25519",
                     "|".join(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss",
                                                                *(["dsa"] if version() < (10, 0) else []))))}
SAME = {("pubkeyauthentication", "host-bound"): "true", ("connecttimeout", "none"): "0",
        ("serveraliveinterval", "300"): "30",  # Debian's, with BatchMode
        ("rekeylimit", "0 0"): "0 3600", ("ipqos", "cs1"): "cs1 cs1",
        **({("revokedhostkeys", "/r/web"): "/r/%h"} if version() >= (10, 0) else {})}  # which shows it expanded

CONFIGURATIONS = {
    "nothing": "",
    "the case of names": "HOST H\n port 1\nhost h\n PORT 2\n",
    "host patterns": "Host a* !abc\n Port 1\nHost *c\n Port 2\nHost ?\n Port 3\nHost h x y\n Port 4\n",
    "a negated host": "Host !h *\n Port 1\nHost * !x\n Port 2\n",
    "the first value counts": "Port 1\nHost h\n Port 2\n User u\nHost *\n User v\n Port 3\n",
    "equals and quotes": 'Port=1\nUser = "a b"\nHostName="x"\nIdentityFile "a b"\nIdentityFile c\\ d\n',
    "comments": "# one\n  # two\nPort 1 # three\nUser u #four\n\n\tHostName\tx\t\n",
    "carriage returns": "Port 1\r\nHost h\r\n User u\r\n",
    "host name tokens": "HostName %h.example\n",
    "percent": "HostName %%h-%h\n",
    "an address": "HostName 0:0:0:0:0:0:0:1\n",
    "an old address": "HostName 127.1\n",
    "upper case": "HostName WWW.Example\n",
    "match host": "Match host h\n Port 1\nMatch host x\n Port 2\n",
    "match host after HostName": "HostName web.example\nMatch host web.*\n Port 1\nMatch host h\n User no\n",
    "match originalhost": "HostName web.example\nMatch originalhost h\n Port 1\n",
    "match user": "User bob\nMatch user b*,!bill\n Port 1\nMatch user carl\n HostName x\n",
    "match localuser": "Match localuser root\n Port 1\nMatch !localuser root\n Port 2\n",
    "match all": "Match all\n Port 1\n",
    "match exec": "Match exec true\n Port 1\nMatch exec false\n User no\n",
    "match exec with tokens": 'HostName x.y\nMatch exec "test %h-%n-%p = x.y-h-22"\n User yes\n',
    "match exec with a shell": "Match exec \"echo; exit 0\"\n Port 1\nMatch !exec \"exit 3\"\n User u\n",
    "match several": "User u\nMatch host h user u exec true\n Port 1\nMatch host h user v\n Port 2\n",
    "match negated": "Match !host x\n Port 1\n",
    "match final": "Match final\n Port 1\nHost h\n Port 2\n User u\n",
    "match final and host": "HostName web.example\nMatch final host web.example\n Port 1\nHost web.example\n User u\n",
    "match canonical": "Match canonical\n Port 1\nMatch !canonical\n User u\n",
    "canonical, not found": "CanonicalizeHostname yes\nCanonicalDomains invalid\nMatch canonical\n Port 1\n",
    "canonical, no domains": "CanonicalizeHostname always\nHost h\n Port 1\nMatch final\n User u\n",
    "canonical, switches": "CanonicalizeFallbackLocal no\nCanonicalizeMaxDots 3\nCanonicalDomains a.b c.d\n"
                           "CanonicalizePermittedCNAMEs *.a:*.b c,d:e\nCanonicalizeHostname no\nProxyJump j\n",
    "canonical, none": "CanonicalDomains none\nCanonicalizePermittedCNAMEs none\n",
    "include": "Include one\nPort 9\n",
    "include in a block": "Host x\n Include one\nHost h\n Include two\n",
    "include several": "Include two one\n",
    "include by pattern": "Include part/*.conf\n",
    "include nothing": "Include missing part/*.none\nPort 3\n",
    "include in match": "Match host h\n Include two\nPort 4\n",
    "identity files": "IdentityFile ~/a\nIdentityFile %d/b\nIdentityFile ~/a\nIdentitiesOnly yes\n",
    "no identity": "IdentityFile none\n",
    "certificates": "CertificateFile ~/a-cert.pub\nCertificateFile b\n",
    "agent": "IdentityAgent ~/agent.sock\n",
    "agent none": "IdentityAgent none\n",
    "agent by variable": "IdentityAgent $OTHER\n",
    "agent by its usual name": "IdentityAgent SSH_AUTH_SOCK\n",
    "keys to the agent": "AddKeysToAgent yes\n",
    "keys to the agent, asked": "AddKeysToAgent ask\n",
    "keys to the agent, confirmed": "AddKeysToAgent confirm\n",
    "keys to the agent, for a time": "AddKeysToAgent 1h30m\n",
    "keys to the agent, both": "AddKeysToAgent confirm 10\n",
    "ways to log in": "PreferredAuthentications publickey,password\nPasswordAuthentication no\n"
                      "KbdInteractiveAuthentication no\nNumberOfPasswordPrompts 1\nBatchMode yes\n",
    "old names": "ChallengeResponseAuthentication no\nKeepAlive no\nPubkeyAcceptedKeyTypes ssh-ed25519\n",
    "no keys": "PubkeyAuthentication no\n",
    "keys unbound": "PubkeyAuthentication unbound\n",
    "keys bound": "PubkeyAuthentication host-bound\n",
    "known hosts": "UserKnownHostsFile ~/a /b/%h\nGlobalKnownHostsFile /c /d\nHashKnownHosts yes\n",
    "no known hosts": "UserKnownHostsFile none\nGlobalKnownHostsFile none\n",
    "host key alias": "HostKeyAlias other\nStrictHostKeyChecking accept-new\nCheckHostIP yes\n",
    "host key alias with a port": "HostKeyAlias [bastion]:2222\n",
    "strict": "StrictHostKeyChecking yes\n",
    "not strict": "StrictHostKeyChecking off\n",
    "asking": "StrictHostKeyChecking ask\nVerifyHostKeyDNS ask\nVisualHostKey yes\n",
    "ciphers": "Ciphers aes256-ctr,aes128-gcm@openssh.com\nMACs hmac-sha2-512,hmac-sha2-256-etm@openssh.com\n",
    "more ciphers": "Ciphers +aes128-cbc\nMACs +hmac-md5\nKexAlgorithms +diffie-hellman-group1-sha1\n",
    "fewer ciphers": "Ciphers -aes*\nMACs -hmac-sha1*,umac-*\nKexAlgorithms -ecdh-*,diffie-*\n",
    "ciphers first": "Ciphers ^aes256-gcm@openssh.com\nHostKeyAlgorithms ^rsa-sha2-512\n",
    "key exchanges": "KexAlgorithms curve25519-sha256,ecdh-sha2-nistp521\n",
    "host keys": "HostKeyAlgorithms ssh-ed25519,rsa-sha2-256\nPubkeyAcceptedAlgorithms ecdsa-*\n"
                 "CASignatureAlgorithms ssh-ed25519\n",
    "rekey": "RekeyLimit 1G 30m\n",
    "rekey by bytes": "RekeyLimit 512K none\n",
    "rekey by default": "RekeyLimit default 1h\n",
    "alive": "ServerAliveInterval 15\nServerAliveCountMax 5\nTCPKeepAlive no\n",
    "alive interval alone": "ServerAliveInterval 1m\n",
    "connecting": "AddressFamily inet6\nBindAddress 127.0.0.1\nConnectTimeout 1m30s\nConnectionAttempts 3\n",
    "no time-out": "ConnectTimeout none\n",
    "a service's port": "Port ssh\n",
    "local forwards": "LocalForward 8080 web:80\nLocalForward [::1]:8081 [2001:db8::1]:81\nLocalForward /tmp/a.sock b:1\n"
                      "LocalForward *:8083 c:3\nLocalForward localhost:8084 d:4\n",
    "forwards given twice": "LocalForward 8080 web:80\nLocalForward 8080 web:80\nLocalForward 8080 web:81\n",
    "remote forwards": "RemoteForward 9000 web:80\nRemoteForward *:9001 web:80\nRemoteForward 9002\n"
                       "RemoteForward localhost:9003 a:1\nRemoteForward /run/a /run/b\nRemoteForward 0 x:1\n",
    "dynamic forwards": "DynamicForward 1080\nDynamicForward [::1]:1081\nDynamicForward *:1082\n",
    "switches of forwards": "GatewayPorts yes\nExitOnForwardFailure yes\nClearAllForwardings yes\nStreamLocalBindMask 0117\n"
                            "StreamLocalBindUnlink yes\nLocalForward 1 a:1\n",
    "permitted": "PermitRemoteOpen a:80 *:443 [::1]:*\n",
    "nothing permitted": "PermitRemoteOpen none\n",
    "all permitted": "PermitRemoteOpen any\n",
    "jump": "ProxyJump me@a:1,b\n",
    "jump as an address": "ProxyJump ssh://me@a:2\nProxyCommand no\n",
    "jump as another user": "ProxyJump ssh://m%65+b%40c@a:2\n",
    "jump as a user with percent": "ProxyJump m%65@a:2\n",
    "no jump": "ProxyJump none\nProxyCommand no\n",
    "a proxy command": "ProxyCommand exec nc -X 5 '%h' \"%p\" # no comment\nProxyJump no\n",
    "no proxy command": "ProxyCommand none\nProxyJump no\n",
    "log": "LogLevel VERBOSE\nSyslogFacility LOCAL3\nLogVerbose kex.c:*\n",
    "log errors": "LogLevel ERROR\n",
    "log less": "LogLevel QUIET\n",
    "log nothing": "LogLevel SILENT\n",
    "log the worst": "LogLevel FATAL\n",
    "log for debugging": "LogLevel DEBUG1\n",
    "log it all": "LogLevel DEBUG3\n",
    "no jump, no command": "ProxyJump none\nProxyCommand none\n",
    "no command": "ProxyCommand none\n",
    "paths with tokens": "User u\nHostName web\nHostKeyAlias alias\nIdentityFile ~/%h\nCertificateFile ~/%h-cert.pub\n"
                         "UserKnownHostsFile ~/%k /a/%r\nGlobalKnownHostsFile ~/%h\nRevokedHostKeys /r/%h\n"
                         "IdentityAgent ~/%n.sock\nControlPath ~/.ssh/%h-%p-%r\n",
    "a path with a variable": "IdentityAgent ${HOME}/agent-%%\nControlPath ${HOME}/%i\n",
    "none of it": "ControlPath none\nRemoteCommand none\nLocalCommand none\nRevokedHostKeys none\nPKCS11Provider none\n"
                  "SecurityKeyProvider none\nKnownHostsCommand none\nProxyCommand none\n",
    "no known hosts of others": "GlobalKnownHostsFile none\n",
    "sockets with tokens": "LocalForward /run/%h-%p.sock /run/%r.sock\nRemoteForward /run/%n.sock /srv/%u.sock\n"
                           "LocalForward 80 a:80\nUser u\n",
    "terminal": "RequestTTY yes\n",
    "a session without terminal": "SessionType none\nRequestTTY auto\n",
    "session": "SessionType none\nStdinNull yes\nForkAfterAuthentication yes\n",
    "ignored": "IgnoreUnknown Use*,my*\nUseKeychain yes\nMyThing a b c\nIgnoreUnknown other\nPort 2\n",
    "ignored in a block": "IgnoreUnknown Foo*\nHost x\n FooBar 1\nHost h\n Foo 2\n Port 7\n",
    "ssh 1": "RSAAuthentication no\nRhostsRSAAuthentication no\nKerberosAuthentication no\nKerberosTGTPassing no\n"
             "AFSTokenPassing no\nCompressionLevel 3\n",
    "shells": "ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted no\nForwardX11Timeout 2h\nRequestTTY force\n"
              "EscapeChar none\nPermitLocalCommand yes\nLocalCommand echo \"%h\" '# x'\n",
    "the agent's socket": "ForwardAgent no\nXAuthLocation /bin/x\nEnableEscapeCommandline yes\n",
    "environment": "SendEnv LANG LC_*\nSendEnv X\nSetEnv A=1 B=2\nSetEnv C=3\n",
    "masters": "ControlMaster auto\nControlPersist 10m\n",
    "masters, asked": "ControlMaster autoask\nControlPersist yes\n",
    "no masters": "ControlMaster no\nControlPath none\nControlPersist no\n",
    "gssapi": "GSSAPIAuthentication yes\nGSSAPIDelegateCredentials true\nGSSAPIKeyExchange no\nGSSAPITrustDns yes\n"
              "GSSAPIRenewalForcesRekey yes\nGSSAPIClientIdentity a\nGSSAPIServerIdentity b\n",
    "by host": "HostbasedAuthentication yes\nEnableSSHKeysign yes\nNoHostAuthenticationForLocalhost yes\n",
    "other things": "Compression yes\nTunnel yes\nTunnelDevice 1:2\nIPQoS af21 cs1\nFingerprintHash md5\n"
                    "SecurityKeyProvider /x\nProxyUseFdpass no\n",
    "one quality of service": "IPQoS cs1\nTunnel ethernet\n",
    "deprecated": "Protocol 2\nUsePrivilegedPort no\nKbdInteractiveDevices pam\nCipher x\nUseRoaming no\nFallBackToRsh no\n"
                  "DSAAuthentication yes\nSkeyAuthentication no\nIdentityFile2 x\nGlobalKnownHostsFile2 y\n"
                  "UserKnownHostsFile2 z\nRhostsAuthentication no\nUseRsh no\nTISAuthentication no\n"
                  "UseBlacklistedKeys no\nProtocolKeepAlives 17\nSetupTimeOut 18\nSmartcardDevice none\n",
    "a real one": "# work\nHost bastion\n  HostName bastion.work.example\n  User ann\n  IdentityFile ~/.ssh/work\n"
                  "  IdentitiesOnly yes\nHost *.work h\n  ProxyJump bastion\n  LocalForward 15432 db:5432\n"
                  "Host *\n  ServerAliveInterval 30\n  AddKeysToAgent yes\n  SendEnv LANG LC_*\n",
}
HOME = pwd.getpwuid(os.getuid()).pw_dir  # what ssh looks at
FILES = {"one": "Port 1\nHost h\n User one\n", "two": "Host *\n User two\n Include one\n", "part/1.conf": "Port 11\n",
         "part/2.conf": "Port 12\nUser part\n"}
COMMAND_LINES = [("-p3",), ("-l", "me"), ("-4",), ("-6", "-g"), ("-L", "80:a:80", "-D1080", "-R", "81:b:81"),
                 ("-b", "127.0.0.1"), ("-J", "a,b:2"), ("-N", "-n"), ("-c", "aes128-ctr", "-m", "hmac-sha2-256"),
                 ("-i", "/etc/passwd"), ("-v",), ("-vv",), ("-vvvv",), ("-q",), ("-q", "-v"), ("-v", "-q", "-v"),
                 ("-oLogLevel=DEBUG2", "-v"), ("-v", "-oLogLevel=ERROR"), ("-T",), ("-t",), ("-tt",), ("-ttt",),
                 ("-T", "-t"), ("-N",), ("-N", "-t"), ("-t", "-N"), ("-oRequestTTY=no", "-t"), ("-W", "a:1"),
                 ("-W", "a:1", "-T"), ("-tt", "-W", "a:1"), ("-oSessionType=none",), ("-oSessionType=default", "-W", "a:1"),
                 ("-A",), ("-a", "-oForwardAgent=yes"), ("-X",), ("-x", "-oForwardX11=yes"),
                 ("-Y", "-oForwardX11Trusted=no"), ("-e", "none"), ("-k",), ("-S", "none"), ("-J", "none"),
                 ("-oProxyJump=none",), ("-oProxyCommand=none",), ("-L", "/run/%h:a:80", "-L", "81:/run/%%"),
                 ("-oUser=x", "-oPort=5", "-oHostName=%h.y"), ("-L", ":80:a:80", "-L", "*:81:a:81")]


@pytest.fixture(scope="module", name="config_folder")
def make_config_folder(shared_folder):
    folder = shared_folder / "config"
    for name, text in {**FILES, "bad": "Foo 1\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        written(folder, text, name)
    return folder


def written(folder: pathlib.Path, text: str, name: str = "config") -> pathlib.Path:
    """Relative paths of Include are relative to ~/.ssh, which is not ours to write to."""
    includes = re.sub("Include .*", lambda line: re.sub(" (?=.)", f" {folder}/", line.group()), text)
    (folder / name).write_bytes(includes.encode())
    return folder / name


def shown(program: str, file: pathlib.Path, arguments: tuple[str, ...]) -> dict[str, list[str]]:
    done = subprocess.run([program, "-F", str(file), *arguments, "-G", "h"], capture_output=True, timeout=20, text=True,
                          stdin=subprocess.DEVNULL, env=environment(HOME=HOME), check=False)
    assert done.returncode == 0, done.stderr
    values: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value)
    to_sockets = {line.split()[0] for line in values.get("localforward", []) if "]:" not in line.split()[1]}
    if dynamic := values.pop("dynamicforward", []):  # ssh lists -L to a socket there, too
        values["dynamicforward"] = [line for line in dynamic if line not in to_sockets]
    return {key: lines for key, lines in values.items() if lines}


@functools.cache
def names_of_both() -> dict[str, set[str]]:
    def names(program: str, what: str) -> set[str]:
        return set(subprocess.run([program, "-Q", what], capture_output=True, check=True, text=True).stdout.split())
    return {key: names(binary(), what) & names("ssh", what) for key, what in ALGORITHMS.items()}


def comparable(values: dict[str, list[str]], both: dict[str, set[str]], asked: str) -> dict[str, object]:
    """What must be equal. `asked`: the text of the file and the arguments, in lower case."""
    out: dict[str, object] = {}
    for key, lines in values.items():
        value = "|".join(SAME.get((key, line), line.replace("[]:", "[*]:")) for line in lines)
        if key in NOT_OURS:
            continue
        if key in ALGORITHMS:
            names = [name for name in value.split(",") if name in both[key]]
            exact = re.search(rf"{key}[ =](?![+^-])", asked)
            out[key] = names if exact and "*" not in asked else set(names)
        elif key == "preferredauthentications":
            out[key] = [name for name in value.split(",") if name in ("publickey", "keyboard-interactive", "password")]
        else:
            out[key] = value
    return out


def assert_same(folder: pathlib.Path, text: str, arguments: tuple[str, ...] = ()):
    file = written(folder, text)
    both = names_of_both()
    asked = (text + " ".join(arguments)).lower()
    expected = comparable(shown("ssh", file, arguments), both, asked)
    found = comparable(shown(binary(), file, arguments), both, asked)
    different = {key: (found.get(key), expected.get(key)) for key in found.keys() | expected.keys()
                 if found.get(key) != expected.get(key) and (found.get(key), expected.get(key)) != OWN_DEFAULTS.get(key)}
    assert not different, "ours, then ssh's"
    assert len(found) > 60


@pytest.mark.parametrize("name", list(CONFIGURATIONS)[::6 if SMALL else 1])
def test_shows_what_ssh_shows(config_folder, name):
    assert_same(config_folder, CONFIGURATIONS[name])


@pytest.mark.parametrize("arguments", COMMAND_LINES, ids=" ".join)
def test_the_command_line_comes_first(config_folder, arguments):
    assert_same(config_folder, "Host h\n Port 7\n User file\n LocalForward 9 a:9\nHost *\n AddressFamily inet\n", arguments)


def test_defaults_of_its_own(config_folder):
    values = shown(binary(), written(config_folder, ""), ())
    for key, (value, _) in OWN_DEFAULTS.items():
        assert "|".join(values[key]) == value


WRONG = {
    "unknown": "Foo 1\n",
    "several": "Foo 1\nPort x\nBar\n",
    "in another host's block": "Host x\n Port x\n",
    "unknown in another host's block": "Host x\n Foo 1\n",
    "no value": "Port\n",
    "a quote": 'User "a\n',
    "too many words": "Port 1 2\n",
    "no condition": "Match\n",
    "a strange condition": "Match foo bar\n",
    "all and more": "Match user a all host b\n",
    "a condition without value": "Match host\n",
    "in an included file": "Include bad\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_fails_where_ssh_fails(config_folder, name):
    file = written(config_folder, WRONG[name])
    theirs = subprocess.run(["ssh", "-F", str(file), "-G", "h"], capture_output=True, timeout=20, text=True, check=False)
    ours = run("-F", str(file), "-G", "h", env=environment(HOME=HOME))
    assert (theirs.returncode, ours.status) == (255, 255)
    last = [line for line in theirs.stderr.splitlines() if "terminating" in line]
    assert ours.lines[-1] == f"culvert: {last[-1]}"
    for line in theirs.stderr.splitlines():  # where we have no better words of our own
        if ("Bad configuration option" in line or "Match" in line) and "missing argument for Match" not in line:
            assert line in ours.stderr


def test_a_file_that_is_not_there(folder):
    done = run("-F", str(folder / "none"), "-G", "h")
    assert (done.status, done.lines) == (255, [f"culvert: -F: {folder}/none does not exist"])


def test_the_users_file_is_read(sshd, folder, echo_server):
    """All that a tunnel needs comes from ~/.ssh/config: alias, port, user, key, forward; a hop from there too."""
    port = free_port()
    (folder / ".ssh").mkdir(mode=0o700)
    (folder / "known").write_text(sshd.known_hosts())
    config = folder / ".ssh/config"
    config.write_text(
        f"Host web hop\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n"
        f"  IdentityFile {sshd.user_keys[0]}\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
        f"Host web\n  ProxyJump hop\n  LocalForward {port} 127.0.0.1:{echo_server.port}\nHost *\n  Compression yes\n")
    config.chmod(0o600)
    with Process([binary(), "web"], env=environment(HOME=str(folder)), start_new_session=True) as forward:
        forward.wait_for("culvert: ready")
        with connect(port) as stream:
            stream.sendall(b"through two")
            assert stream.recv(100) == b"through two"
        assert forward.stop() == 0
    config.chmod(0o666)
    done = run("web", env=environment(HOME=str(folder)))
    assert done.status == 255
    assert done.lines == [f"culvert: Bad owner or permissions on {config} (chmod go-w keeps others from changing it)"]


def test_a_refused_connection(folder):
    (folder / "config").write_text('Match host h\n RefuseConnection "use the other one"\n')
    for words in (("h",), ("-J", "h", "other")):
        done = run("-F", str(folder / "config"), "-N", *words)
        assert done.lines == ["culvert: refused by the configuration (RefuseConnection): use the other one"]
        assert done.status == 255


def test_a_match_whose_command_is_killed_is_neither_true_nor_false(folder):
    (folder / "config").write_text('Match exec "kill -TERM $$"\n User somebody\n')
    done = run("-F", str(folder / "config"), "-G", "h")
    assert done.status == 255 and "was ended by signal 15" in done.stderr
