#!/usr/bin/env python3
"""s3feed.py ROOT ROUNDS PERIOD-S BYTES [FLOOR-BUCKET]: three renditions below ROOT/live, as a segmenter writes them.

Every PERIOD-S a segment and then a playlist of the last six for each; segments older than twelve are deleted.  With
FLOOR-BUCKET, half a period later, a loop over one kept-alive connection puts as many objects of the same sizes
there; it prints "floor MS" for each of its segments: from the moment of writing to the answer.  Prints "wrote PATH" too.
"""
import datetime
import hashlib
import hmac
import http.client
import os
import sys
import time
import urllib.parse

root, rounds, period, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
bucket = sys.argv[5] if len(sys.argv) > 5 else None
payload = os.urandom(size)
renditions = ["a", "b", "c"]


def write(path, data):
    temporary = os.path.join(os.path.dirname(path), ".new.tmp")
    with open(temporary, "wb") as f:
        f.write(data)
    os.rename(temporary, path)
    print("wrote", os.path.relpath(path, root), flush=True)


def playlist(i):
    first = max(1, i - 5)
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n" % first
    return (head + "".join("#EXTINF:2.0,\n%d.ts\n" % n for n in range(first, i + 1))).encode()


class Loop:
    def __init__(self):
        url = urllib.parse.urlsplit(os.environ["S3_URL"])
        self.host = url.netloc
        self.http = http.client.HTTPConnection(url.hostname, url.port)

    def put(self, key, body):
        now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        scope = now[:8] + "/us-east-1/s3/aws4_request"
        path = "/%s/%s" % (bucket, key)
        hashed = hashlib.sha256(body).hexdigest()
        signed = "host;x-amz-content-sha256;x-amz-date"
        canonical = "PUT\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s" % (
            path, self.host, hashed, now, signed, hashed)
        text = "AWS4-HMAC-SHA256\n%s\n%s\n%s" % (now, scope, hashlib.sha256(canonical.encode()).hexdigest())
        key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        self.http.request("PUT", path, body, {
            "x-amz-date": now, "x-amz-content-sha256": hashed,
            "Authorization": "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s" % (
                os.environ["AWS_ACCESS_KEY_ID"], scope, signed, signature)})
        answer = self.http.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit("the loop: %d" % answer.status)


def wait_until(moment):
    time.sleep(max(0, moment - time.monotonic()))


loop = Loop() if bucket else None
for r in renditions:
    os.makedirs(os.path.join(root, "live", r), exist_ok=True)
began = time.monotonic()
for i in range(1, rounds + 1):
    wait_until(began + (i - 1) * period)
    for r in renditions:
        folder = os.path.join(root, "live", r)
        write(os.path.join(folder, "%d.ts" % i), payload)
        write(os.path.join(folder, "index.m3u8"), playlist(i))
        if i > 12:
            os.unlink(os.path.join(folder, "%d.ts" % (i - 12)))
    if not loop:
        continue
    wait_until(began + (i - 0.5) * period)
    moment = time.monotonic()
    for r in renditions:
        loop.put("live/%s/%d.ts" % (r, i), payload)
        print("floor %.1f" % (1000 * (time.monotonic() - moment)), flush=True)
        loop.put("live/%s/index.m3u8" % r, playlist(i))
