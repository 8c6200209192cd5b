"""A mail server with TLS for the tests: from the first byte on one port, after STARTTLS on another.

The certificates are made anew: an authority, the server's own for 127.0.0.1, and an authority that has nothing to do with
it. The TLS is OpenSSL's. What it has taken is printed, a line for each mail; AUTH is offered over TLS alone, and only one
password is right.

    smtp.py FOLDER
"""

import base64
import datetime
import ipaddress
import json
import pathlib
import socketserver
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FOLDER = pathlib.Path(sys.argv[1])
USER, PASSWORD = "trailhound", "pass word"
LOCK = threading.Lock()


def say(value):
    with LOCK:
        print(json.dumps(value), flush=True)


def certificate(name, issuer=None):
    """A certificate and its key: an authority's own, or one for 127.0.0.1 by an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write(name, certificate, key=None):
    path = FOLDER / name
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    if key:
        plain = serialization.NoEncryption()
        pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(pem)
    return str(path)


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.talk()
        except ssl.SSLError as error:
            say({"broken": str(error)})
        except OSError:
            pass  # The client has gone away.

    def secure(self):
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.file = self.request.makefile("rb")

    def send(self, text):
        self.request.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line:
            raise OSError("the client went away")
        return line.rstrip(b"\r\n").decode()

    def is_secure(self):
        return isinstance(self.request, ssl.SSLSocket)

    def talk(self):
        self.file = self.request.makefile("rb")
        if self.server.from_the_start:
            self.secure()
        self.send("220 tests")
        user = None
        while True:
            line = self.line()
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.send("250-tests")
                self.send("250 AUTH PLAIN" if self.is_secure() else "250 STARTTLS")
            elif verb == "STARTTLS":
                self.send("220 go on")
                self.secure()
            elif verb == "AUTH" and self.is_secure():
                _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                right = (user, password) == (USER, PASSWORD)
                self.send("235 welcome" if right else "535 wrong")
                user = user if right else None
            elif verb in ("MAIL", "RCPT") and user is None:
                self.send("530 sign in first")
            elif verb == "DATA":
                self.send("354 go on")
                lines = []
                while (text := self.line()) != ".":
                    lines.append(text)
                say({"user": user, "tls": self.request.version(), "mail": "\n".join(lines)})
                self.send("250 taken")
            elif verb == "QUIT":
                self.send("221 bye")
                return
            else:
                self.send("250 ok")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, context, from_the_start):
        super().__init__(("127.0.0.1", 0), Session)
        self.context, self.from_the_start = context, from_the_start
        threading.Thread(target=self.serve_forever, daemon=True).start()


authority = certificate("the authority")
own = write("own.pem", *certificate("the server", authority))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(own)
servers = {"tls": Server(context, True), "starttls": Server(context, False)}
about = {name: server.server_address[1] for name, server in servers.items()}
about["authority"] = write("authority.pem", authority[0])
about["stranger"] = write("stranger.pem", certificate("a stranger")[0])
say(about)
# It ends with the test: nothing comes on standard input but its end.
sys.stdin.read()
