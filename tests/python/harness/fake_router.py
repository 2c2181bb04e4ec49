# SPDX-License-Identifier: Apache-2.0
"""A home router that does as it is told, wrongly too: run as a program inside a namespace.

Usage: fake_router.py ADDRESS BEHAVIOUR...
PCP and NAT-PMP (none: their port is closed): pcp, nat-pmp, silent, garbage, truncated, wrong-source, flood, refuse, address=A,
strict (with pcp: who comes with another nonce is refused)
UPnP (none: nobody answers): upnp, permanent, conflict, xml=FILE, http=endless|slow|garbage|huge-head|half|hang, elsewhere, port=P,
taken (somebody else has what was opened first), late=N (answers of PCP, and of opening by UPnP, come N seconds after it is done), stranger=A (that address answers searches before the router does)
Prints a line for each thing that it is asked.
"""

import http.server
import os
import socket
import struct
import sys
import threading
import time

ADDRESS, *WORDS = sys.argv[1:]
SETTINGS = dict(word.split("=", 1) for word in WORDS if "=" in word)
OUTSIDE = socket.inet_aton(SETTINGS.get("address", "11.0.0.5"))
BEGIN = time.monotonic() - 1000
PORT = int(SETTINGS.get("port", "5000"))
MAPPINGS: dict[str, str] = {}  # port outside: machine
NONCES: dict[bytes, bytes] = {}  # protocol and port inside: nonce
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def epoch() -> int:
    return int(time.monotonic() - BEGIN)


def pcp_answer(request: bytes, result: int = 0) -> bytes:
    lifetime = struct.unpack(">I", request[4:8])[0]
    head = bytes([2, 0x81, 0, result]) + struct.pack(">II", lifetime if result == 0 else 30, epoch()) + bytes(12)
    return head + request[24:44] + bytes(10) + b"\xff\xff" + OUTSIDE


def nat_pmp_answer(request: bytes) -> bytes:
    if request[1] == 0:
        return bytes([0, 128, 0, 0]) + struct.pack(">I", epoch()) + OUTSIDE
    inside, outside, lifetime = struct.unpack(">HHI", request[4:12])
    return bytes([0, 128 + request[1], 0, 0]) + struct.pack(">IHHI", epoch(), inside, outside, lifetime)


def answers_to(request: bytes) -> list[bytes]:
    is_pcp = request[:1] == b"\x02" and len(request) == 60
    if "silent" in WORDS:
        return []
    if "garbage" in WORDS:
        return [os.urandom(size) for size in (0, 1, 3, 4, 8, 12, 23, 60, 1100, 1400)]
    if "truncated" in WORDS:
        whole = pcp_answer(request) if is_pcp else nat_pmp_answer(request)
        return [whole[:size] for size in range(len(whole))]
    if "flood" in WORDS:
        return [pcp_answer(request[:24] + bytes(12) + request[36:]) if is_pcp else nat_pmp_answer(bytes(2))] * 5000
    if "refuse" in WORDS:
        return [pcp_answer(request, 2)] if is_pcp else []
    if is_pcp and "pcp" in WORDS:
        is_owner = NONCES.setdefault(request[36:42], request[24:36]) == request[24:36]
        return [pcp_answer(request, 0 if is_owner or "strict" not in WORDS else 2)]
    if is_pcp and "nat-pmp" in WORDS:
        return [bytes([0, 0x81, 0, 1]) + struct.pack(">I", epoch())]
    if not is_pcp and "nat-pmp" in WORDS:
        return [nat_pmp_answer(request)]
    return []


def serve_ports() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, 5351))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind((ADDRESS, 0))
    while True:
        request, client = server.recvfrom(2048)
        say(f"asked version {request[0]} opcode {request[1]} lifetime "
            f"{struct.unpack('>I', request[4:8])[0] if len(request) >= 60 else '-'}")
        if "wrong-source" in WORDS:
            stranger.sendto(pcp_answer(request) if request[0] == 2 else nat_pmp_answer(request), client)
        time.sleep(float(SETTINGS.get("late", "0")))
        for answer in answers_to(request):
            server.sendto(answer, client)


DESCRIPTION = f"""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList><service><serviceType>{SERVICE}</serviceType>
<controlURL>/control</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service></serviceList></device></root>"""


def fault(number: int) -> str:
    return (f"<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>{number}</errorCode></UPnPError></detail></s:Fault>"
            "</s:Body></s:Envelope>")


class Web(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass

    def answer(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hostile(self) -> bool:
        how = SETTINGS.get("http")
        if how == "endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
            while True:
                self.wfile.write(b"<a>" * 20000)
        elif how == "slow":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(100):
                self.wfile.write(b"<")
                time.sleep(0.5)
        elif how == "garbage":
            self.wfile.write(os.urandom(4096))
        elif how == "huge-head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000)
        elif how == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n<root>")
        elif how == "hang":
            time.sleep(60)
        return how is not None

    def do_GET(self) -> None:
        say(f"GET {self.path}")
        if self.hostile():
            return
        if "xml" in SETTINGS:
            with open(SETTINGS["xml"], encoding="latin-1") as file:
                self.answer(file.read())
        else:
            self.answer(DESCRIPTION)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = self.headers["SOAPAction"].strip('"').split("#")[1]
        said = {name: body.split(f"<{name}>")[1].split("<")[0] for name in
                ("NewLeaseDuration", "NewExternalPort", "NewInternalClient") if f"<{name}>" in body}
        say(f"{action} {said}")
        if action == "GetExternalIPAddress":
            self.answer(f"<s:Envelope><s:Body><u:R><NewExternalIPAddress>{socket.inet_ntoa(OUTSIDE)}</NewExternalIPAddress></u:R></s:Body></s:Envelope>")
        elif action == "AddPortMapping" and "permanent" in WORDS and said["NewLeaseDuration"] != "0":
            self.answer(fault(725), 500)
        elif action == "AddPortMapping" and "conflict" in WORDS and said["NewExternalPort"] == "8080":
            self.answer(fault(718), 500)
        elif action == "AddPortMapping" and "refuse" in WORDS:
            self.answer(fault(606), 500)
        elif action == "GetSpecificPortMappingEntry" and said["NewExternalPort"] not in MAPPINGS:
            self.answer(fault(714), 500)
        else:
            value = ""
            if action == "AddPortMapping":
                is_taken = "taken" in WORDS and not MAPPINGS
                MAPPINGS[said["NewExternalPort"]] = "192.168.77.77" if is_taken else said["NewInternalClient"]
            elif action == "GetSpecificPortMappingEntry":
                value = f"<NewInternalClient>{MAPPINGS[said['NewExternalPort']]}</NewInternalClient>"
            elif action == "DeletePortMapping":
                MAPPINGS.pop(said["NewExternalPort"], None)
            if action == "AddPortMapping":
                time.sleep(float(SETTINGS.get("late", "0")))
            self.answer(f"<s:Envelope><s:Body><u:R>{value}</u:R></s:Body></s:Envelope>")


def serve_searches() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", 1900))
    server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(ADDRESS))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind((SETTINGS.get("stranger", ADDRESS), 0))

    def answer(by: socket.socket, where: str, client) -> None:
        by.sendto(f"HTTP/1.1 200 OK\r\nLOCATION: http://{where}\r\n"
                  "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n".encode(), client)

    while True:
        request, client = server.recvfrom(2048)
        if b"InternetGatewayDevice:1" not in request:
            continue
        say("searched")
        if "stranger" in SETTINGS:
            answer(stranger, f"{ADDRESS}:{PORT}/reboot", client)
        answer(server, f"{'127.0.0.1' if 'elsewhere' in WORDS else ADDRESS}:{PORT}/desc.xml", client)


if {"pcp", "nat-pmp", "silent", "garbage", "truncated", "wrong-source", "flood", "refuse"} & set(WORDS):
    threading.Thread(target=serve_ports, daemon=True).start()
if {"upnp", "permanent", "conflict", "elsewhere", "taken"} & set(WORDS) or {"xml", "http"} & set(SETTINGS):
    threading.Thread(target=serve_searches, daemon=True).start()
    threading.Thread(target=http.server.ThreadingHTTPServer((ADDRESS, PORT), Web).serve_forever, daemon=True).start()
say("router is up")
threading.Event().wait()
