"""Takes webhooks: checks who they are from, and takes each once, though it may come twice.

pip install twilio standardwebhooks; PARLEY_AUTH_TOKEN and PARLEY_WEBHOOK_SECRET in the environment,
and PUBLIC_URL where the world knows it by another URL than it listens at. Either check would do.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from standardwebhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

validator = RequestValidator(os.environ["PARLEY_AUTH_TOKEN"])
standard = Webhook(os.environ["PARLEY_WEBHOOK_SECRET"])
taken = set()  # in your database


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if not self.signed(body, form):
            return self.answer(403)
        token = self.headers["I-Twilio-Idempotency-Token"]
        if token not in taken:
            taken.add(token)
            print(form["EventType"], token)
        return self.answer(204)

    def signed(self, body, form):
        url = URL + self.path  # as it is configured, without what follows #
        try:
            standard.verify(body, dict(self.headers), json_parse=False)
        except WebhookVerificationError:
            return False
        return validator.validate(url, form, self.headers.get("X-Twilio-Signature", ""))

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver)
URL = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{server.server_port}")
print("listening at", URL)
server.serve_forever()
