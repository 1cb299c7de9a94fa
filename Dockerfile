# Parley in a container, with PostgreSQL inside until the configuration names another one.
#
#   docker build -t parley .
#   docker run --init --stop-timeout 60 -p 8080:8080 -e PARLEY_AUTH_TOKEN=... \
#     -v ./parley.yaml:/etc/parley/parley.yaml:ro -v parley:/var/lib/parley parley
#
# In the configuration say `server: {host: 0.0.0.0}`: a container's own 127.0.0.1 is not reachable
# from outside. `--stop-timeout` is more than `server.drain_s`; with an embedded database `--init`
# collects what is left of its processes after a crash. Any other command: `... parley migrate
# --config /etc/parley/parley.yaml`.

# slim is Debian: the embedded PostgreSQL needs glibc.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/parley
WORKDIR /src
# What we depend on changes less often than we do: a layer of its own.
COPY pyproject.toml ./
RUN python -c "import tomllib; ours = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*ours['dependencies'], *ours['optional-dependencies']['kinesis'], sep='\n')" \
      > /tmp/requirements.txt \
 && /opt/parley/bin/pip install -r /tmp/requirements.txt
COPY README.md ./
COPY app ./app
COPY config ./config
COPY migrations ./migrations
RUN pip wheel --no-deps --wheel-dir /tmp/wheels . \
 && /opt/parley/bin/pip install --no-deps /tmp/wheels/parley-*.whl \
 && /opt/parley/bin/parley --help > /dev/null

FROM python:${PYTHON}
# initdb wants its user to have a name, so run as another one only with a database of your own.
RUN groupadd --system --gid 10001 parley \
 && useradd --system --uid 10001 --gid parley --home-dir /var/lib/parley --no-create-home \
      --shell /usr/sbin/nologin parley \
 && install -d -o parley -g parley -m 0750 /var/lib/parley \
 && install -d -m 0755 /etc/parley
COPY --from=build /opt/parley /opt/parley
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PARLEY_LIVEZ=http://127.0.0.1:8080/livez
USER parley
# `database.folder` is ./var/postgres by default: within the volume.
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
EXPOSE 8080
# With `server.port` or `ops.port` of your own, set PARLEY_LIVEZ as well. The first start makes the
# database. urlopen raises, and python exits 1, on anything but 2xx; no proxy stands in between.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(os.environ['PARLEY_LIVEZ'], timeout=2)"]
ENTRYPOINT ["parley"]
CMD ["serve", "--config", "/etc/parley/parley.yaml"]
