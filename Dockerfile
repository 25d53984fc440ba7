# One image for the command, the loop (`serve`), the service and Ray's head and workers: `make image`, or docker build -t lakehouse-compactor .
# The Python version is the one that constraints.txt was tested with; Ray wants the same one on driver and workers. Where other bases are
# needed (a mirror, a hardened Python), both need the C library of Debian 12 or a newer one, and the same architecture.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG RUST_IMAGE=rust:1.90-slim-bookworm

# The native kernels, for the Debian (and so the C library) and the Python of the images below.
FROM ${RUST_IMAGE} AS native
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && python3 -m pip install --no-cache-dir --break-system-packages "maturin>=1.9,<2"
WORKDIR /src/native
COPY native ./
RUN maturin build --release --compatibility linux --out /wheels

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY compactor compactor
COPY cli cli
# A prefix instead of a virtual environment: KubeRay starts Ray in a login shell, which knows /usr/local/bin and no other place.
COPY --from=native /wheels /wheels
RUN python -m pip install --prefix=/install --constraint constraints.txt ".[cluster,service]" /wheels/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lakehouse-compactor" \
      org.opencontainers.image.description="Keeps Delta Lake tables read-optimised while other engines keep writing" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# KubeRay's probes call wget. Python's images come without compiled modules: every process would compile what it imports, as none may write it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 compactor \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin compactor \
    && python -m compileall -q -x '/(site-packages|test|tests|lib2to3|idlelib)/' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /install /usr/local
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
WORKDIR /home/compactor
# The command ends by itself with a documented exit code, and the loop by SIGTERM; the port of a service is asked by its platform (/healthz).
HEALTHCHECK NONE
STOPSIGNAL SIGTERM
ENTRYPOINT ["compactor"]
CMD ["--help"]
