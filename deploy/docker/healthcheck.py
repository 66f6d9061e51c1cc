"""Whether the service of this container is ready: exit code 0 or 1 (Dockerfile, HEALTHCHECK).

The path may be given, e.g. `healthcheck.py /live`; it needs nothing but the standard library.
"""

import http.client
import os
import sys

TIMEOUT = 2.0


def main(path: str = "/ready") -> int:
    """Ask the monitor port (`PAGER_MONITOR_PORT`) on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PAGER_MONITOR_PORT"]), timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
