# THUNES as a user without rights, on a root that is read-only. See docker-compose.monitoring.yml for how it is run.
FROM python:3.13.15-slim-trixie AS build
WORKDIR /source
COPY constraints.txt pyproject.toml setup.cfg setup.py LICENSE README.md ./
COPY actors actors
COPY thunes thunes
# Which commit this is: docker build --build-arg GIT_SHA=$(git rev-parse HEAD); .git itself stays outside.
ARG GIT_SHA=unknown
RUN echo "$GIT_SHA" > thunes/_build_sha.txt \
 && pip install --no-cache-dir -c constraints.txt setuptools \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation -w /wheel . \
 && python -m venv /opt/thunes \
 && /opt/thunes/bin/pip install --no-cache-dir -c constraints.txt /wheel/*.whl

FROM python:3.13.15-slim-trixie
LABEL org.opencontainers.image.title="THUNES" \
      org.opencontainers.image.description="A paper-to-live trader for Binance spot in which every component is an actor" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin thunes \
 && install -d -o thunes -g thunes -m 0700 /var/lib/thunes
COPY --from=build /opt/thunes /opt/thunes
# PYTHONSAFEPATH: `python -m` would look for modules in the home first, which THUNES may write to.
ENV PATH=/opt/thunes/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 THUNES_HOME=/var/lib/thunes
USER 10001:10001
WORKDIR /var/lib/thunes
VOLUME /var/lib/thunes
EXPOSE 9464 8787
# Alive, not ready: a container must not be restarted because the exchange is away.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import urllib.request; urllib.request.build_opener(urllib.request.ProxyHandler({})).open('http://127.0.0.1:9464/healthz', timeout=3)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "thunes.supervisor"]
CMD ["--log", "plain"]
