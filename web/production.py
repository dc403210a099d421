"""Settings of the production server: `gunicorn -c python:web.production`.

gevent workers, one per core: a socket that sends or reads slowly costs a few kilobytes and no
thread, so that a thousand of them slow nobody; gunicorn reads requests strictly, starts a worker
anew that died or hangs, and takes a new version of the app on SIGHUP. Imports nothing of the app.
"""

from __future__ import annotations

import os
from typing import Any

wsgi_app = "web:create_app()"
worker_class = "gevent"
# Those of this process: a container may have fewer than its machine.
workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
worker_connections = 4000
"""Sockets of one worker at a time; more wait until one is closed."""
keepalive = 10
"""Seconds until a request must be there whole, the first one too; then the socket is closed."""
control_socket_disable = True


def on_starting(arbiter: Any) -> None:
    """Allow this process, and with it its workers, as many open files as they may have sockets."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * worker_connections
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def pre_request(worker: Any, request: Any) -> None:
    """Refuse a request that names no host, as RFC 9112 (3.2) wants; gunicorn itself lets it pass.

    Raises:
        InvalidHeader: It names none; answered with 400.
    """
    from gunicorn.http.errors import InvalidHeader

    if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
        raise InvalidHeader("Host: missing", req=request)
